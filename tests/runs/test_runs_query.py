"""Runs by reference, by condition and in order."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mnistexp.errors import BadInput, RunError
from mnistexp.runs import files, query
from mnistexp.runs.annotations import annotate
from mnistexp.runs.references import one
from mnistexp.runs.status import Owner, RunState, Status, write_status
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.runs.where import parse

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CONFIG = "seed: {seed}\nmodel: {{filters: [16, 32], dropout: 0.5}}\noptimizer: {{name: {optimizer}}}\nname: null\n"


def store(
    runs: Path, started: datetime, state: RunState = "done", optimizer: str = "adam", seed: int = 2, **metrics: object
) -> str:
    folder = runs / f"{started:%Y%m%dT%H%M%SZ}-train-{optimizer}-{seed:04x}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(seed=seed, optimizer=optimizer))
    files.write_json(folder / "metrics.json", metrics)
    error = "it broke" if state == "failed" else None
    finished = None if state == "running" else started + timedelta(seconds=90)
    write_status(folder, Status("train", optimizer, state, started, Owner.current(), finished, 90.0, 0, error))
    return folder.name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs, the fifth newest first: a to e."""
    folder = tmp_path_factory.mktemp("query") / "runs"
    a = store(folder, NOW - timedelta(days=400), seed=1, test_accuracy=0.9, epochs=10, odd="0.5")
    store(folder, NOW - timedelta(days=30), "failed", "sgd", seed=2)
    store(folder, NOW - timedelta(hours=36), "done", "sgd", seed=3, test_accuracy=0.95, epochs=20, diverged=False)
    store(folder, NOW - timedelta(hours=12), "done", "adam", seed=4, test_accuracy=0.925, epochs=20, diverged=True)
    store(folder, NOW - timedelta(minutes=1), "running", "nadam", seed=5)
    annotate(folder / a, add=["baseline", "base-2"], note='second "try"')
    return folder


def letters(found: list[StoredRun]) -> str:
    return "".join(" abcde"[int(str(run.settings["seed"]))] for run in found)


# References


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ([], "edcba"), (["latest"], "e"), (["1"], "e"), (["5"], "a"), (["1:2"], "ed"), (["4:"], "ba"), ([":2"], "ed"),
        (["2:2"], "d"), (["2:99"], "dcba"), ([":"], "edcba"), (["2:999999"], "dcba"), (["2025"], "a"),
        (["20251020T"], "a"), (["2026102"], "b"), (["4", "1", "2", "latest", "1:2"], "bed"), (["003"], "c"),
    ],
)  # fmt: skip
def test_references_select_runs(runs: Path, references: list[str], expected: str) -> None:
    assert letters(query.select(runs, references)) == expected
    if len(expected) == len(references) == 1:
        assert letters([one(runs, references[0])]) == expected


@pytest.mark.parametrize(
    "reference",
    [
        "6", "0", "0:3", "3:1", "9:", "7:8", "20261", "2027", "", "-1", "1:2:3", "lastest", "99999999999999999999",
        "1:99999999999999999999", "\u0663",
    ],
)  # fmt: skip
def test_a_reference_without_a_run_is_bad_input(runs: Path, reference: str) -> None:
    for ask in (one, lambda folder, text: query.select(folder, [text])):
        with pytest.raises(BadInput):
            ask(runs, reference)


def test_commands_of_one_run_refuse_several(runs: Path) -> None:
    with pytest.raises(BadInput, match="means 2 runs"):
        one(runs, "1:2")


def test_a_long_number_is_a_place_only_if_no_id_begins_with_it(tmp_path: Path) -> None:
    ids = [f"{NOW - timedelta(minutes=minute):%Y%m%dT%H%M%SZ}-train-x-0000" for minute in range(1003)]
    for name in ids:
        (tmp_path / name).mkdir()
    assert one(tmp_path, "1002").id == ids[1001]
    assert [run.id for run in query.select(tmp_path, ["999:1001"])] == ids[998:1001]
    (tmp_path / ids[7]).rename(tmp_path / "1002")
    (tmp_path / "1002" / "status.json").touch()
    assert one(tmp_path, "1002").path == tmp_path / "1002"
    (tmp_path / ids[8]).rename(tmp_path / "3")
    (tmp_path / "3" / "status.json").touch()
    assert one(tmp_path, "3").path == tmp_path / "3"
    assert one(tmp_path, "4").id == ids[3]


def test_runs_elsewhere_are_selected_by_path(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = one(runs, "3").path
    assert letters(query.select(tmp_path, [str(folder)])) == "c"
    monkeypatch.chdir(runs.parent)
    found = query.select(Path("runs"), [f"runs/{folder.name}", str(folder), "3"])
    assert letters(found) == "c"


def test_no_runs_are_an_empty_list_and_no_reference(tmp_path: Path) -> None:
    assert query.select(tmp_path / "nowhere", where="test_accuracy>0.9", sort="nonsense") == []
    with pytest.raises(BadInput, match="there are no runs"):
        one(tmp_path / "nowhere", "latest")
    with pytest.raises(BadInput, match="of 0 runs"):
        query.select(tmp_path / "nowhere", ["1:5"])


def test_known_ids_are_listed_newest_first_without_foreign_folders(runs: Path, tmp_path: Path) -> None:
    assert query.known_ids(runs) == [run.id for run in query.select(runs)]
    ids = [store(tmp_path, NOW), store(tmp_path, NOW - timedelta(1))]
    (tmp_path / "notes").mkdir()
    (tmp_path / ids[1]).rename(tmp_path / "mine")
    assert query.known_ids(tmp_path) == [ids[0], "mine"]
    assert query.known_ids(tmp_path / "nowhere") == []


# Conditions


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("command=train", "edcba"), ("command!=train", ""), ("COMMAND=train or seed=1", None),
        ("test_accuracy>0.92", "dc"), ("test_accuracy>=0.925", "dc"), ("test_accuracy<0.925", "a"),
        ("test_accuracy<=.925", "da"), ("test_accuracy=9.5e-1", "c"), ("test_accuracy!=0.95", "da"),
        ("not test_accuracy>0.92", "eba"), ("not not test_accuracy>0.92", "dc"), ("epochs~1", "a"),
        ("optimizer.name=adam and test_accuracy>0.9", "d"), ("optimizer.name = sgd or optimizer.name=nadam", "ecb"),
        ("optimizer.name=sgd and status=failed or status=running", "eb"),
        ("optimizer.name=sgd and (status=failed or status=running)", "b"),
        ("optimizer.name~AD", "eda"), ("optimizer.name>m", "ecb"), ("status=failed and error~BROKE", "b"),
        ("diverged=true", "d"), ("diverged!=true", "c"), ("model.filters='[16, 32]'", "edcba"),
        ("tag=baseline", "a"), ("tag!=baseline", "edcb"), ("tag~base-", "a"), ("tag=base", ""),
        ('note~"second \\"try"', "a"), ("note=''", "edcb"), ("note~'\"TRY\"'", "a"),
        ("name=adam", "da"), ("seconds=90", "edcba"), ("seconds>1e2", ""),
        ("exit_code=0 and finished>2000-01-01", "dcba"),
        ("started>-6h", "e"), ("started>-720m", "e"), ("started<-2d", "ba"), ("started<=-1.5d", "cba"),
        ("started>-10w and started<-1w", "b"), ("started=2026-11-24", "ed"), ("started!=2026-11-24", "cba"),
        ("started>2026-11-23", "ed"), ("started<=2026-11-23", "cba"), ("started<2026-11-23", "ba"),
        ("started>=2026-11-24T00:00", "ed"), ("started=2026-11-24T00:00", "d"), ("started=2026-11-24T01:00+01:00", "d"),
        ("started=2026-11-24T00:00:00Z", "d"), ("started>2026-11-24T00:00:00", "e"), ("started~2026-11-24T00", "d"),
        ("odd=0.5", "a"), ("odd>0.4", "a"), ("not finished>2000-01-01", "e"), ("name=null", ""),
        ("error=null", "edca"), ("data.source=embedded", ""),
        ("model.dropout=0.50", "edcba"), ("( (seed=1) )", "a"), ("seed=1 or seed=2 and seed=3 or seed=4", "da"),
        ("NOT seed=1 AND seed<3 Or seed=5", "eb"), ("test_accuracy>0.9and seed=4", None),
    ],
)  # fmt: skip
def test_conditions_select_runs(runs: Path, where: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "parse", lambda text: parse(text, NOW))
    if expected is None:
        with pytest.raises(BadInput):
            query.select(runs, where=where)
    else:
        assert letters(query.select(runs, where=where)) == expected


def test_conditions_select_among_the_referenced_runs(runs: Path) -> None:
    assert letters(query.select(runs, ["1:4"], where="optimizer.name=sgd", sort="test_accuracy", limit=1)) == "c"


@pytest.mark.parametrize(
    ("where", "column"),
    [
        ("test_accuracy>", 15), ("test_accuracy", 14), ("test_accuracy 5", 15), (">5", 1),
        ("seed=1 seed=2", 8), ("seed=1 and", 11), ("seed=1 or or seed=2", 11), ("seed=and", 6), ("(seed=1", 8),
        ("seed=1)", 7), ("seed=='x'", 6), ("note='x", 6), ("seed!1", 5), ("started>yesterday", 9), ("started>-6y", 9),
        ("started>-999999999w", 9), ("tag>x", 4), ("test_accuracy>high", 15), ("seed=1 and test_acuracy>1", 12),
        ("optimiser.name=adam", 1), ("(" * 60 + "seed=1" + ")" * 60, 52), ("not " * 60 + "seed=1", 205),
    ],
)  # fmt: skip
def test_malformed_conditions_point_at_the_place(runs: Path, where: str, column: int) -> None:
    with pytest.raises(BadInput) as caught:
        query.select(runs, where=where)
    first, text, caret = str(caught.value).split("\n")
    assert first.startswith(f"--where, column {column}: ")
    at = min(column - 1, 60)
    assert caret == f"  {' ' * at}^"
    assert text[2 + at :] == where[column - 1 : column + 39]


@pytest.mark.parametrize("where", ["", "   "])
def test_an_empty_condition_has_no_place_to_point_at(runs: Path, where: str) -> None:
    with pytest.raises(BadInput) as caught:
        query.select(runs, where=where)
    assert str(caught.value).startswith("--where, column 1: a key is missing")
    assert "\n" not in str(caught.value)


def test_a_condition_has_a_maximum_length(runs: Path) -> None:
    assert query.select(runs, where=" or ".join(["seed=1"] * 400)) != []
    with pytest.raises(BadInput, match="characters long"):
        query.select(runs, where=" or ".join(["seed=1"] * 4000))


PIECES = st.sampled_from(
    ["seed", "=", "<", "!=", "~", "(", ")", " and ", " or ", "not ", "'", '"', "\\", "started", ">", "-6h",
     "2026-11-24", "tag", "note", "0.5", "nan", "inf", "\0", "\udcff", "\n", "test_accuracy", " ", "1e999", "T24:00",
     "null"]
)  # fmt: skip


@settings(max_examples=400)
@given(where=st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=40))
@example("started=9999-12-31")
@example("started=0001-01-01T00:00+23:59")
@example("started>2026-W01-1")
@example("seed=" + "9" * 3000)
def test_any_text_is_a_condition_or_bad_input(runs: Path, where: str) -> None:
    with suppress(BadInput):
        assert len(query.select(runs, where=where)) <= 5


@settings(max_examples=300)
@given(reference=st.text("0123456789:-latesT /.", max_size=8), sort=st.text("-, sedtag.", max_size=6) | st.none())
def test_any_reference_and_order_are_understood_or_bad_input(runs: Path, reference: str, sort: str | None) -> None:
    try:
        found = query.select(runs, [reference], sort=sort)
    except BadInput:
        return
    assert found


Meaning = Callable[[float], bool]
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def compared(operator: str, value: int) -> tuple[str, Meaning]:
    return f"seed {operator} {value}", lambda seed: OPERATORS[operator](seed, value)


CONDITIONS: st.SearchStrategy[tuple[str, Meaning]] = st.recursive(
    st.builds(compared, st.sampled_from(sorted(OPERATORS)), st.integers(0, 6)),
    lambda inner: (
        inner.map(lambda one: (f"not ({one[0]})", lambda seed: not one[1](seed)))
        | st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", _both(two[0][1], two[1][1])))
        | st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", _either(two[0][1], two[1][1])))
    ),
    max_leaves=8,
)


def _both(one: Meaning, other: Meaning) -> Meaning:
    return lambda seed: one(seed) and other(seed)


def _either(one: Meaning, other: Meaning) -> Meaning:
    return lambda seed: one(seed) or other(seed)


@settings(max_examples=200)
@given(condition=CONDITIONS)
def test_conditions_have_the_meaning_of_python(runs: Path, condition: tuple[str, Meaning]) -> None:
    text, meaning = condition
    expected = "".join(" abcde"[seed] for seed in (5, 4, 3, 2, 1) if meaning(seed))
    assert letters(query.select(runs, where=text)) == expected


# Order, limits, the best


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("test_accuracy", "adceb"), ("-test_accuracy", "cdaeb"), ("optimizer.name", "daecb"), ("-started", "edcba"),
        ("started", "abcde"), ("optimizer.name,seed", "adebc"), ("-optimizer.name,-seed", "cbeda"), ("status", "dcabe"),
        ("epochs,-test_accuracy", "acdeb"), ("diverged", "cdeba"), ("tag", "edcba"), ("id", "abcde"),
    ],
)  # fmt: skip
def test_runs_are_sorted_and_those_that_lack_the_key_come_last(runs: Path, sort: str, expected: str) -> None:
    assert letters(query.select(runs, sort=sort)) == expected
    assert letters(query.select(runs, sort=sort, limit=2)) == expected[:2]


@pytest.mark.parametrize(
    ("metric", "highest", "expected"),
    [("test_accuracy", None, "c"), ("test_accuracy", False, "a"), ("epochs", True, "d"), ("seconds", None, "e")],
)
def test_the_best_is_the_newest_of_equals(runs: Path, metric: str, highest: bool | None, expected: str) -> None:
    assert letters([query.best(query.select(runs), metric, highest=highest)]) == expected


def test_a_metric_that_no_run_has_as_a_number_has_no_best(runs: Path) -> None:
    with pytest.raises(BadInput, match="none of 5 runs"):
        query.best(query.select(runs), "odd")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("test_accuracy", True), ("best_score", True), ("repeats.mean_accuracy", True), ("min_val_loss", False),
     ("best_std", False), ("seconds.total", False), ("fits_failed", False), ("best_standard_error", False)],
)  # fmt: skip
def test_the_name_of_a_metric_decides_whether_high_or_low_is_best(metric: str, expected: bool) -> None:
    assert query.highest_is_best(metric) is expected


def test_a_folder_that_can_not_be_listed_is_explained(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match="a file is where a folder should be"):
        query.select(tmp_path / "runs")
