"""What a reader of one form gives: pictures and labels as they are in the file, before anything is converted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mnistexp.data.content import AGAIN, Tick, refuse
from mnistexp.errors import MnistexpError, reason


@dataclass(frozen=True, eq=False)
class RawDigits:
    """Pictures as an array (n, ...) of any numbers, or a list of grey values uint8 (h, w) each; labels, or None.

    `files`: where each picture came from, of a folder of pictures. `labels_as_folders`: they are names of folders.
    """

    images: "NDArray[Any] | Sequence[NDArray[Any]]"
    labels: "NDArray[Any] | None" = None
    files: tuple[Path, ...] = ()
    class_names: tuple[str, ...] = ()
    labels_as_folders: bool = False


Read = Callable[[Tick], RawDigits]


def opened(read: Read, source: str, tick: Tick) -> RawDigits:
    """What `read` gives. Raises `BadInput`, also for whatever numpy makes of a file that is not what it says."""
    try:
        return read(tick)
    except (MnistexpError, MemoryError):
        raise
    except Exception as error:
        raise refuse(source, f"can't be read ({reason(error)})", AGAIN) from error


@dataclass(frozen=True)
class Found:
    """A source that was found, nothing of it read yet: its form, its main part, and its own test part if it has one.

    `named`: a single file was named, so that the main part is what was asked for. `stored_transposed`: the set is known
    to be stored with rows and columns exchanged.
    """

    form: str
    main: Read = field(repr=False)
    test: Read | None = field(default=None, repr=False)
    test_name: str = ""
    named: bool = False
    stored_transposed: bool = False

    @property
    def judged(self) -> Read | None:
        """Its own test part, where a model is judged on that; None where it is judged on the main part."""
        return None if self.named else self.test
