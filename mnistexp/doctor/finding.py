"""What one look at the machine or the installation comes to."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """`check`: what was looked at. `says`: one line. `remedy`: what to do, a command where there is one, else None."""

    check: str
    state: Literal["ok", "warning", "problem"]
    says: str
    remedy: str | None = None
