"""`python -m mnistexp`."""

from mnistexp.cli.app import main

if __name__ == "__main__":
    main()
