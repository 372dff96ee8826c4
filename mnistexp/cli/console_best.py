"""The best model and the reproduced assignment as tables and sentences for a terminal. Nothing here prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mnistexp.cli.console import accuracy_lines, plain_table
from mnistexp.config import shown

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from collections.abc import Mapping, Sequence

    from mnistexp.runs.results import Outcome

__all__ = [
    "best_report",
    "reproduce_report",
]

VERDICTS = {True: Text("yes", style="green"), False: Text("no", style="red"), None: Text("-")}


def best_report(outcome: "Outcome") -> Iterator[RenderableType]:
    """The chosen settings, their test accuracy with its interval, and the gain over the worst and average model."""
    from mnistexp.runs.results import over_all

    found = outcome.metrics
    yield _sources(found["choice"])
    yield Text()
    yield Text.assemble(("Chosen        ", "bold"), shown.setting(found["best_params"]))
    yield Text.assemble(("Cross-val.    ", "bold"), _worth(found["choice"]))
    yield from accuracy_lines(over_all(found))
    yield Text()
    yield Text("How much better than the worst and the average model?", style="bold")
    yield _gaps(found["better"])
    yield Text(found["better"]["sentence"])
    yield Text(found["better"]["notebook"]["sentence"])
    yield Text()
    yield Text("Is the test accuracy representative of unseen data?", style="bold")
    yield Text(found["representative"]["answer"])
    for sentence in found["representative"]["sentences"]:
        yield Text(f"- {sentence}")
    for warning in found["warnings"]:
        yield Text(f"Note: {warning}", style="yellow")
    yield Text.assemble(("Run folder    ", "bold"), str(outcome.run_dir))


def _sources(choice: dict[str, Any]) -> Table:
    """The sweeps chosen from, and how many trials each of them brought."""
    table = plain_table("chosen from", "trials", "sweep")
    for sweep in choice["sweeps"]:
        table.add_row(sweep["family"], str(sweep["trials"]), sweep["run"])
    return table


def _worth(choice: dict[str, Any]) -> str:
    """The score of the chosen setting, among how many, and how many can't be told from the best of them."""
    tied, repeated = choice["chosen"]["tied"], choice["repeated"]
    trials = "1 more trial repeats" if repeated == 1 else f"{repeated} more trials repeat"
    once = f" ({trials} one of them)" if repeated else ""
    told = f"; {tied} of them, including the best, are statistically tied" if tied > 1 else ""
    return f"{shown.percent(choice['chosen']['accuracy'])}, of {choice['settings']} settings{once}{told}"


def _gaps(better: dict[str, Any]) -> Table:
    table = plain_table("", "settings", "best", "worst", "average", "over worst", "over average", "errors")
    for row in (better["chosen"], *better["families"]):
        if row["trials"] == 1:  # itself
            continue
        accuracies = (row["best"]["accuracy"], row["worst"]["accuracy"], row["average"])
        leads = (
            f"{shown.signed_points(accuracies[0], other):.1f} ({low:.1f} to {high:.1f})"
            for other, (low, high) in (
                (accuracies[1], row["versus_worst"]["interval"]),
                (accuracies[2], row["versus_average"]["interval"]),
            )
        )
        fewer = _fewer(row["versus_average"]["error_reduction"])
        table.add_row(row["family"], str(row["trials"]), *map(shown.percent, accuracies), *leads, fewer)
    return table


def _fewer(reduction: float | None) -> str:
    return "" if reduction is None else f"{-round(100 * reduction):+d}%"


def reproduce_report(outcome: "Outcome") -> Iterator[RenderableType]:
    """The table of reported figures beside ours."""
    found = outcome.metrics
    yield Text(found["label"], style="bold yellow" if found["quick"] else "bold")
    for part in dict.fromkeys(row["part"] for row in found["table"]):
        yield Text()
        yield Text(part.capitalize(), style="bold")
        table = plain_table("", "reported", "ours", "interval", "agree")
        for row in found["table"]:
            if row["part"] == part:
                ends = " to ".join(map(_figure, row["interval"] or ()))
                table.add_row(
                    row["what"], _figure(row["reported"]), _figure(row["ours"]), ends, VERDICTS[row["agrees"]]
                )
        yield table
    yield Text()
    for sentence in found["sentences"]:
        yield Text(sentence)
    for reason, rows in _not_compared(found["table"]).items():
        yield Text(f"{rows[0] if len(rows) == 1 else f'{len(rows)} figures'}: {reason}")
    for fault in dict.fromkeys(row["fault"] for row in found["table"] if row["fault"]):
        yield Text(f"Fault of the notebook: {fault}.")
    yield Text.assemble(("Run folder    ", "bold"), str(outcome.run_dir))


def _not_compared(table: "Sequence[Mapping[str, Any]]") -> dict[str, list[str]]:
    """Why figures are not compared, and which figures each reason is of."""
    found: dict[str, list[str]] = {}
    for row in table:
        if row["agrees"] is None:
            found.setdefault(row["how"], []).append(row["what"])
    return found


def _figure(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
