"""Grids, pairs and ranges of a sweep; every wrong entry is reported under the key that the user wrote."""

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from mnistexp.config.section import ConfigSection

Value = float | int | str | bool | None | tuple[float | int | str | bool, ...]
"""The possible values of a trial's setting."""
Values = tuple[Value, ...]
Grid = dict[str, Values]


def _checked(name: str, schema: Any) -> PlainValidator:
    """Validation of `sweep.<name>` that reports every wrong entry under the key that the user wrote."""

    def check(given: Any) -> Any:
        problems: list[tuple[str, str]] = []
        if name == "grid" and isinstance(given, list | tuple):
            result: Any = tuple(_settings_to_try(f"sweep.grid.{i}", grid, problems) for i, grid in enumerate(given))
        else:
            result = _settings_to_try(f"sweep.{name}", given, problems)
        if not problems and name == "zip" and len({len(values) for values in result.values()}) > 1:
            lengths = ", ".join(f"{key} has {len(values)}" for key, values in result.items())
            problems.append(("sweep.zip", f"pairs lists of different lengths ({lengths}), allowed: one length"))
        if problems:
            raise PydanticCustomError("conflicts", "{problems}", {"problems": problems})
        return result

    return PlainValidator(check, json_schema_input_type=schema)


def _settings_to_try(where: str, given: Any, problems: list[tuple[str, str]]) -> dict[str, Any]:
    if not isinstance(given, dict):
        problems.append((where, f"is {given!r:.60}, allowed: a section of `key: [value, ...]` lines"))
        return {}
    found: dict[str, Any] = {}
    for key, entry in given.items():
        place = f"{where}.{key}"
        if isinstance(entry, list | tuple) and entry:
            found[str(key)] = tuple(tuple(value) if isinstance(value, list) else value for value in entry)
            bad = [value for value in found[str(key)] if not _is_value(value)]
            problems.extend((place, f"holds {value!r:.60}, allowed: numbers, text, true or false") for value in bad)
        elif where == "sweep.random" and isinstance(entry, dict | Range):
            try:
                found[str(key)] = Range.model_validate(entry)
            except ValidationError as error:
                for item in error.errors(include_url=False):
                    inner = ".".join([place, *map(str, item["loc"])])
                    problems.append((inner, item["msg"].removeprefix("Value error, ")))
        else:
            ranges = ", or low and high" if where == "sweep.random" else ""
            problems.append((place, f"is {entry!r:.60}, allowed: a list of values{ranges}"))
    return found


def _is_value(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(_is_value(item) and not isinstance(item, tuple) for item in value)
    return isfinite(value) if isinstance(value, float) else value is None or isinstance(value, int | str | bool)


class Range(ConfigSection):
    """A range for random search and TPE, including both ends."""

    low: float
    """The lowest value."""
    high: float
    """The highest value."""
    log: bool = False
    """Draw evenly on a logarithmic scale."""
    integer: bool = False
    """Draw whole numbers."""

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value, as whole numbers where it has only these."""
        return (int(self.low), int(self.high)) if self.integer else (self.low, self.high)

    @model_validator(mode="after")
    def _ends_are_ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} has no logarithm, allowed: above 0")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("low and high must be whole numbers where integer is true")
        return self


if TYPE_CHECKING:
    GridOrGrids = Grid | tuple[Grid, ...]
    Pairs = Grid
    Space = dict[str, Range | Values]
else:
    # pydantic's check of such unions reports a wrong value once for each possible type.
    GridOrGrids = Annotated[Any, _checked("grid", Grid | list[Grid])]
    Pairs = Annotated[Any, _checked("zip", Grid)]
    Space = Annotated[Any, _checked("random", dict[str, Range | Values])]
