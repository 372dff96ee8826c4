"""`python -m mnistexp`."""

from mnistexp.cli import main

if __name__ == "__main__":
    main()
