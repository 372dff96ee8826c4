"""`runs compare --by` and `runs list --group`: which runs are a group, and how a number varies in it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from .claims import flat, is_rounded, near
from .commands import value_of
from .differences import settings_of
from .records import Record

NOT_COUNTED = re.compile(r"^Not counted: (\d+) runs? (with the settings and seed|without \S+)", re.M)
Groups = list[list[Record]]


def faults(
    records: Sequence[Record], by: Sequence[str], metric: str, document: Mapping[str, Any], text: str
) -> list[str]:
    """What is wrong with the groups of runs, given the newest first, by some keys or by `settings`."""
    groups, again, without = _grouped(records, by, metric)
    place = f"runs compare --by {','.join(by)}"
    named = {tuple(record.path.name for record in some): some for some in groups}
    told = [tuple(group["runs"]) for group in document["groups"]]
    if document["metric"] != metric or sorted(told) != sorted(named):
        return [f"{place} --json: {document['metric']} of {told}, by the files {metric} of {[*named]}"]
    own, means = [named[names] for names in told], [group["mean"] for group in document["groups"]]
    found, blocks = [], re.split(r"^(?=\d+  )", text, flags=re.M)
    if [document["same_seed"], document["without_metric"]] != [again, without]:
        found.append(f"{place} --json: not counted are other than {again} and {without}: {document}")
    for some, group in zip(own, document["groups"], strict=True):
        found += _document_faults(f"{place} --json", some, metric, group, by)
    if means != sorted(means, reverse=True):
        found.append(f"{place} --json: the means are in the order {means}")
    if len({str(group["settings"]) for group in document["groups"]}) < len(own):
        found.append(f"{place} --json: two groups have the same settings")
    head, *rows = blocks
    if f"mean {metric} " not in head or len(rows) != len(own):
        found.append(f"{place}: prints {len(rows)} groups of {len(own)}, below {head!r}")
    for row, some, group in zip(rows, own, document["groups"], strict=False):
        found += _row_faults(place, row, _statistics(some, metric), metric, group)
    others = {reason.split()[0]: int(count) for count, reason in NOT_COUNTED.findall(text)}
    if others != {word: count for word, count in (("with", again), ("without", without)) if count}:
        found.append(f"{place}: not counted are told as {others}: {again} again, {without} without {metric}")
    return found


def _grouped(records: Sequence[Record], by: Sequence[str], metric: str) -> tuple[Groups, int, int]:
    """The groups; how many runs did the same work again; how many lack the metric."""
    kept = [record for record in records if value_of(record, metric) is not None]
    groups: dict[str, list[Record]] = {}
    seen = set()
    for record in kept:
        settings = settings_of(record) | {"name": None}
        work = str((record.command, settings))
        if work not in seen:
            seen.add(work)
            key = [settings.get(one) for one in by] if list(by) != ["settings"] else [
                record.command, settings | {"seed": None}]  # fmt: skip
            groups.setdefault(str(key), []).append(record)
    return [*groups.values()], len(kept) - len(seen), len(records) - len(kept)


def _statistics(some: Sequence[Record], metric: str) -> dict[str, Any]:
    values = np.array([value_of(record, metric) for record in some], float)
    own: dict[str, Any] = {"values": values, "count": len(values), "mean": values.mean()}
    if len(values) > 1:
        own["std"] = values.std(ddof=1)
    if len(values) > 2:
        half = stats.t.ppf(0.975, len(values) - 1) * own["std"] / len(values) ** 0.5
        half = max(half, 0.5 / some[0].metrics["test_digits"]) if metric == "test_accuracy" else half
        own["interval"] = [values.mean() - half, values.mean() + half]
    return own


def _document_faults(
    place: str, some: Sequence[Record], metric: str, group: Mapping[str, Any], by: Sequence[str]
) -> list[str]:
    own, found = _statistics(some, metric), []
    for key in ("values", "count", "mean", "std", "interval"):
        told, value = flat(group[key]), flat(own.get(key))
        if len(told) != len(value) or not all(map(near, told, value)):
            found.append(f"{place}: {key} is {group[key]}, of the runs {value}")
    for record in some:
        settings = settings_of(record) | {"command": record.command}
        keys = group["settings"] if list(by) == ["settings"] else by
        if group["settings"] != {key: settings.get(key) for key in keys}:
            found.append(f"{place}: {record.path.name} is among those with {group['settings']}")
    seeds = [record.config["seed"] for record in some]
    return found if group["seeds"] == seeds else [*found, f"{place}: seeds are {group['seeds']}, not {seeds}"]


def _row_faults(place: str, row: str, own: Mapping[str, Any], metric: str, group: Mapping[str, Any]) -> list[str]:
    """What is wrong with a printed group: its count, numbers in their unit, settings, and its newest run."""
    count, *cells, settings, newest = re.split(
        r"\s{2,}", row.partition("\nAn interval")[0].partition("\nNot")[0].strip()
    )
    shares = "accuracy" in metric or "score" in metric
    printed = [token for cell in cells for token in cell.split(" to ") if token != "-"]
    numbers = [value for key in ("mean", "std", "interval") for value in flat(own.get(key))]
    found = []
    if count != str(own["count"]) or len(cells) != 3 or len(printed) != len(numbers) or not all(
        token.endswith("%") == shares and is_rounded(token, value, 100 if shares else 1)
        and re.fullmatch(r"-?\d+\.\d%" if shares else r"-?\d+\.\d{4}", token)
        for token, value in zip(printed, numbers, strict=True)):  # fmt: skip
        found.append(f"{place}: {count} {cells}, of the runs {numbers}")
    settings_told = {key: value for key, value in group["settings"].items()
                     if value is not None and not key.startswith("sweep.")}  # fmt: skip
    told = [
        f"{re.sub(r'_(?![0-9])', ' ', key.removesuffix('.name').split('.')[-1])} "
        f"{f'{value:.6g}' if isinstance(value, float) else value}"
        for key, value in settings_told.items()
    ]
    if settings != (", ".join(told) or "all settings") or newest != group["runs"][0]:
        found.append(f"{place}: {settings!r} and {newest} are not {told} and {group['runs'][0]}")
    return found
