"""Configurations: what is written is what is read, and what is wrong is said, all of it at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mnistexp.config import settings, yaml_source
from mnistexp.config.catalogue import dotted_keys
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.errors import ConfigError, Problem

ROOT = Path(__file__).parents[2]


def resolve(text: str = "", *sets: str) -> settings.Settings:
    return settings.resolve([yaml_source.parse(text, "file.yaml"), *settings.assignments(sets)])


def problems(text: str = "", *sets: str) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(text, *sets)
    return str(caught.value)


def problems_of(call: Callable[[], object]) -> tuple[Problem, ...]:
    """What a call finds wrong; any other exception than a `ConfigError` is a failed test."""
    try:
        call()
    except ConfigError as error:
        return error.problems
    return ()


# Laws


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resolved_configuration_reads_back_as_itself(name: str) -> None:
    config = resolve("", f"optimizer.name={name}", "training.epochs=7", "model.filters=[4, 8]").config
    again = settings.resolve([yaml_source.parse(settings.to_yaml(config, "two\nlines"), "again.yaml")]).config
    assert again == config


def test_stronger_sources_win_and_are_named() -> None:
    found = settings.resolve(
        [
            yaml_source.parse("training:\n  epochs: 5\n  batch_size: 16\n", "file.yaml"),
            *settings.assignments(["training.epochs=6"]),
            settings.flag("--epochs", "training.epochs", 7),
        ]
    )
    assert (found.config.training.epochs, found.config.training.batch_size) == (7, 16)
    assert found.origins["training.epochs"] == "--epochs"
    assert found.origins["training.batch_size"] == "file.yaml:3"
    assert found.origins["seed"] == "default"
    assert set(found.origins) >= {"model.filters", "optimizer.name", "data.source"}


def test_naming_another_optimizer_resets_its_section() -> None:
    text = "optimizer: {name: nesterov, momentum: 0.5, learning_rate: 0.5}"
    switched = resolve(text, "optimizer.name=adam").config.optimizer
    assert switched == OPTIMIZERS["adam"]()
    for order in (["optimizer.name=adam", "optimizer.beta_1=0.5"], ["optimizer.beta_1=0.5", "optimizer.name=adam"]):
        assert (
            resolve(text, *order).config.optimizer.hyperparameters() == OPTIMIZERS["adam"](beta_1=0.5).hyperparameters()
        )
    kept = resolve(text, "optimizer.name=nesterov").config.optimizer
    assert kept.hyperparameters()["momentum"] == 0.5


def test_override_changes_one_key_and_nothing_else() -> None:
    base = ExperimentConfig()
    changed = settings.override(base, {"model.dropout": 0.5})
    assert changed.model.dropout == 0.5
    assert settings.override(changed, {"model.dropout": 0.0}) == base


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ExperimentConfig().seed = 3  # type: ignore[misc]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x), max_leaves=5
    )
)
def test_any_value_is_accepted_or_refused_with_a_message(value: object) -> None:
    for key in ("training.epochs", "optimizer.learning_rate", "model.filters", "name", "data.source"):
        said = problems_of(lambda key=key: settings.override(ExperimentConfig(), {key: value}))
        assert all(problem.key.startswith(key) and "allowed" in problem.message for problem in said)


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    assert all(problem.message for problem in problems_of(lambda: resolve(text)))


# The files that ship


def test_the_configurations_of_the_repository_are_the_packaged_ones() -> None:
    assert {path.stem for path in (ROOT / "configs").glob("*.yaml")} == set(settings.packaged_names())
    assert (ROOT / "configs").is_symlink()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.y*ml")), ids=lambda path: path.name)
def test_every_configuration_is_valid_and_opens_with_command_result_and_time(path: Path) -> None:
    base = yaml_source.parse(settings.packaged("train"), "train")
    settings.resolve([base, settings.read_file(str(path))])
    head = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    for word in ("Command:   mnistexp ", "Expected:  ", "Time:      "):
        assert word in head


# Problems


def test_all_problems_are_reported_together_with_their_lines() -> None:
    text = "training:\n  epochs: 0\n  batch_sise: 3\noptimizer:\n  name: adm\nmodel:\n  dropout: 1.0\n"
    found = [(problem.line, problem.key) for problem in problems_of(lambda: resolve(text))]
    assert found == [(2, "training.epochs"), (3, "training.batch_sise"), (5, "optimizer.name"), (7, "model.dropout")]


def test_an_optimizer_without_a_name_is_a_problem() -> None:
    [problem] = problems_of(lambda: resolve("optimizer: {learning_rate: 0.1}"))
    assert (problem.key, problem.message.partition(",")[0]) == ("optimizer.name", "is missing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b", "file.yaml:1: holds a list, allowed: `key: value` lines"),
        ("just text", "holds text"),
        ("seed: 1\nname: a\nseed: 2", "file.yaml:3: seed: is a duplicate, first on line 1"),
        ("1: 2", "the key '1' is not text"),
        ("a:\n\tb: 1", "file.yaml:2: not valid YAML"),
        ("a: [1, 2", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a: &a [*a]", "an alias refers to its own parent"),
        ("[" * 30 + "]" * 30, "nested too deeply"),
        ("[" * 5000, "nested too deeply"),
        ("seed: " + "9" * 5000, "can't be read"),
        ("x: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("x: !!float", "can't be read"),
        ("x: !!bool x", "can't be read"),
        ("x: !!timestamp x", "can't be read"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
            "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]",
            "holds too many values",
        ),
    ],
)
def test_hostile_yaml_is_refused(text: str, expected: str) -> None:
    assert expected in problems(text)


@pytest.mark.parametrize("marks", range(4))
def test_byte_order_marks_at_the_beginning_belong_to_no_key(marks: int) -> None:
    text = "\ufeff" * marks + "seed: 1"
    assert yaml_source.parse(text, "file.yaml").values == yaml_source.parse_fast(text, "file.yaml") == {"seed": 1}


def test_plain_scalars_mean_what_they_look_like() -> None:
    values = yaml_source.parse(
        "a: 1e-3\nb: 1E5\nc: no\nd: 2020-01-01\ne: 010\nf: .5\ng: 1:30\nh: ~\ni: 1_0\nj: 1_000", "x"
    ).values
    assert values == {
        "a": 0.001, "b": 1e5, "c": "no", "d": "2020-01-01", "e": "010", "f": 0.5, "g": "1:30", "h": None, "i": "1_0",
        "j": 1000,
    }  # fmt: skip


@example("0E0")
@example("1e5")
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20) | st.booleans() | st.text())
def test_values_written_by_a_yaml_library_read_back_as_they_were(value: object) -> None:
    read = yaml_source.parse_value(yaml.dump(value, Dumper=yaml_source.Dumper, allow_unicode=True), "x")
    assert read == value or (isinstance(value, str) and "\x85" in value)


def test_binary_files_are_refused(tmp_path: Path) -> None:
    cases = {
        "missing.yaml": (None, "no such file"),
        "binary.yaml": (b"\x89PNG\r\n\xff", "is not UTF-8 text"),
        "large.yaml": (b"#" * 200_000, "is too large, allowed: at most"),
    }
    for name, (content, expected) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=expected):
            settings.read_file(str(tmp_path / name))
    with pytest.raises(ConfigError, match="can't be read"):
        yaml_source.read(tmp_path)


def test_a_huge_assignment_is_refused_briefly() -> None:
    with pytest.raises(ConfigError, match="allowed: at most 100,000 bytes") as raised:
        settings.assignments([f"seed={'[1,' * 100_000}"])
    assert len(str(raised.value)) < 200


SHAPES = [
    ("training: 3", "training.epochs", "file.yaml:1: training: is 3, allowed: a section"),
    ("seed: 1\nmodel: cnn", "model.dropout", "file.yaml:2: model: is 'cnn', allowed: a section of `key: value` lines; "
     "write `model: {kind: cnn}`"),
    ("optimizer: adam", "optimizer.name", "write `optimizer: {name: adam}` or `--opt adam`"),
    ("data: [1]", "data.digits", "data: is [1], allowed: a section"),
    ("data:", "data.digits", "data: is empty, allowed: a section"),
    ("sweep: yes", "sweep.folds", "sweep: is 'yes', allowed: a section of `key: value` lines, or null"),
    ("training: {early_stopping: 5}", "early_stopping.patience", "write `early_stopping: {patience: 5}`"),
    ("training: {epochs: {a: 1}}", "training.epochs", "training.epochs: is {'a': 1}, allowed: a single value"),
    ("optimizer: {name: sgd, lerning_rate: 1}", "optimizer.name", "did you mean 'learning_rate'?"),
]  # fmt: skip
STRONGER = {"data.digits": "100", "optimizer.name": "adam", "model.dropout": "0.5"}


@pytest.mark.parametrize(("text", "key", "expected"), SHAPES)
def test_a_value_in_place_of_a_section_is_refused_whatever_a_stronger_layer_says(
    text: str, key: str, expected: str
) -> None:
    assert expected in problems(text)
    assert expected in problems(text, f"{key}={STRONGER.get(key, '3')}")
    assert expected in problems(f"{text}\nname: a/b", f"{key}={STRONGER.get(key, '3')}")
    assert "name: is 'a/b'" in problems(f"{text}\nname: a/b", f"{key}={STRONGER.get(key, '3')}")


@pytest.mark.parametrize("text", ["sweep: null", "training: {early_stopping: null}", "optimizer: {name: adam}"])
def test_sections_that_may_be_left_out_may_be_null(text: str) -> None:
    resolve(text)
    resolve(text, "sweep.folds=4", "optimizer.name=sgd")


def test_an_unambiguous_end_of_a_key_stands_for_the_key() -> None:
    found = resolve("optimizer: {name: sgd}", "dropout=0.5", "epochs=1_000", "name=short", "learning_rate=1e-3").config
    assert (found.model.dropout, found.training.epochs, found.name) == (0.5, 1000, "short")
    assert found.optimizer.learning_rate == 0.001


def test_the_parts_of_a_grid_may_be_set_one_by_one() -> None:
    sweep = resolve("", "sweep.grid.model.dropout=[0.0, 0.5]", "sweep.grid.optimizer.name=[adam]").config.sweep
    assert sweep is not None
    assert sweep.grids == ({"model.dropout": (0.0, 0.5), "optimizer.name": ("adam",)},)


def test_malformed_assignments_are_reported_together() -> None:
    said = problems("", "epochs", "=3", "training.epochs=[", "a..b=1")
    assert len(said.splitlines()) == 4


def test_dotted_keys_list_every_leaf_once() -> None:
    keys = dotted_keys()
    assert len(keys) == len(set(keys))
    assert {"seed", "optimizer.rho", "training.early_stopping.patience", "model.dropout"} <= set(keys)


def test_a_key_that_is_not_text_is_refused() -> None:
    assert "valid string" in problems("", "\udcff=1")


def test_a_name_longer_than_a_file_can_have_is_no_file() -> None:
    assert not settings.is_file("a" * 300)
    assert settings.is_file("missing.yaml")
