"""`mnistexp` and `python -m mnistexp`: signals are handled from here on, before slow modules are loaded."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Load the command line and run it."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and (name == "SIGINT" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, _leave)
    from mnistexp.cli import app

    app.main()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Exit at once, as `cli.app` would: while modules load, there is nothing to lose."""
    if "--json" in sys.argv:
        os.write(1, b'{\n  "error": "stopped",\n  "exit_code": 130,\n  "problems": []\n}\n')
    os.write(2, b"mnistexp: error: stopped\n")
    os._exit(130)


if __name__ == "__main__":
    main()
