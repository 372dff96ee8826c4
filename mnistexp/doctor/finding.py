"""The result of one check of the machine or the installation."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`check`: what was checked. `says`: the result in one line. `remedy`: the fix, a command if possible, or None."""

    check: str
    state: Literal["ok", "warning", "problem"]
    says: str
    remedy: str | None = None
