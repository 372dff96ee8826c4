"""`mnistexp config`: copying a configuration, and describing configurations to editors and readers."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from typer.testing import CliRunner, Result

from mnistexp.cli.app import app
from mnistexp.config import settings, yaml_source
from mnistexp.config.catalogue import catalogue, dotted_keys, sweepable_keys
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.config.schema import config_schema
from mnistexp.config.settings import to_yaml
from mnistexp.errors import BadInput, ConfigError, MnistexpError
from mnistexp.sweeps.space import Trial, base_points, resolved

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["config", *arguments])


def refused(*arguments: str) -> MnistexpError:
    done = config(*arguments)
    assert isinstance(done.exception, BadInput)
    assert done.stdout == ""
    return done.exception


@pytest.mark.parametrize("name", settings.packaged_names())
def test_a_copied_configuration_keeps_its_comments_and_its_meaning(name: str, here: Path) -> None:
    done = config("init", "mine", "--from", name, "--json")
    document = json.loads(done.stdout)
    copied, packaged = (here / "mine.yaml").read_text(), settings.packaged(name)
    assert yaml_source.parse(copied, "").values == yaml_source.parse(packaged, "").values
    assert [a for a, b in zip(copied.splitlines(), packaged.splitlines(), strict=True) if a != b] == [
        f"# Command:   {document['command']}"
    ]
    assert document["command"].endswith(" --config mine.yaml")
    assert document["schema"] is None
    assert config("validate", "mine.yaml").exit_code == 0


def test_the_command_in_a_copy_runs_it(here: Path) -> None:
    command = json.loads(config("init", "mine", "--from", "sweep-dropout", "--json").stdout)["command"]
    done = CliRunner().invoke(app, [*command.split()[1:], "--dry-run", "--json"])
    assert json.loads(done.stdout)["trials"] == 5
    assert sorted(path.name for path in here.iterdir()) == ["mine.yaml"]


def test_a_copy_names_the_schema_beside_it_in_its_first_line(here: Path) -> None:
    (here / "configs").mkdir()
    assert config("init", "configs/mine.yml", "--schema").exit_code == 0
    first = (here / "configs/mine.yml").read_text().partition("\n")[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads((here / "configs" / named).read_text()) == config_schema()
    assert config("validate", "configs/mine.yml").exit_code == 0


def test_a_file_is_replaced_only_with_force(here: Path) -> None:
    (here / "mine.yaml").write_text("seed: 5\n")
    assert "mine.yaml already exists, allowed: another name, or --force" in str(refused("init", "mine"))
    assert (here / "mine.yaml").read_text() == "seed: 5\n"
    assert config("init", "mine", "--force").exit_code == 0
    assert "epochs: 60" in (here / "mine.yaml").read_text()


def test_the_schema_is_one_and_is_printed_or_written(here: Path) -> None:
    Draft202012Validator.check_schema(config_schema())
    assert json.loads(config("schema").stdout) == config_schema()
    assert json.loads(config("schema", "--output", "a.json", "--json").stdout) == {"schema": "a.json"}
    assert json.loads((here / "a.json").read_text()) == config_schema()


def faults(values: Any) -> str:
    """What is wrong with a configuration by the schema; empty where nothing is."""
    found = best_match(Draft202012Validator(config_schema()).iter_errors(values))
    return found.message if found else ""


@pytest.mark.parametrize("name", settings.packaged_names())
def test_packaged_configurations_agree_with_the_schema(name: str) -> None:
    assert faults(yaml_source.parse(settings.packaged(name), name).values) == ""
    resolved = settings.resolve([settings.read_file(name)]).config
    assert faults(yaml_source.parse(to_yaml(resolved), name).values) == ""


def trials(values: Any) -> list[Trial]:
    """What a file of these values, after the configuration of `train`, would try. Raises `ConfigError`."""
    found = settings.resolve([settings.read_file("train"), yaml_source.Source("file", values)]).config
    return resolved(found, base_points(found)) if found.sweep else []


WRONG = {
    "a misspelt section": ({"trainning": {}}, "'trainning' was unexpected"),
    "a misspelt key": ({"training": {"epoch": 3}}, "'epoch' was unexpected"),
    "a value out of range": ({"model": {"dropout": 1.0}}, "1.0 is greater than or equal to the maximum of 1"),
    "text for a number": ({"training": {"epochs": "ten"}}, "'ten' is not of type 'integer'"),
    "an unknown optimizer": ({"optimizer": {"name": "adma"}}, "'adma' is not one of ['sgd', 'momentum', "),
    "another optimizer's setting": ({"optimizer": {"name": "adam", "rho": 0.5}}, "'rho' was unexpected"),
    "no optimizer's setting": ({"optimizer": {"speed": 0.5}}, "'speed' was unexpected"),
    "a misspelt key to sweep": ({"sweep": {"grid": {"model.droput": [0.1]}}}, "'model.droput' was unexpected"),
    "a key that is not swept": ({"sweep": {"zip": {"data.digits": [100]}}}, "'data.digits' was unexpected"),
    "a swept value out of range": ({"sweep": {"zip": {"model.dropout": [0.1, 1.5]}}}, "1.5 is greater than or equal"),
    "one of several grids": ({"sweep": {"grid": [{}, {"optimizer.name": ["adma"]}]}}, "'adma' is not one of"),
    "nothing to try": ({"sweep": {"zip": {"model.dropout": []}}}, "[] should be non-empty"),
    "half a range": ({"sweep": {"random": {"model.dropout": {"low": 0.1}}}}, "'high' is a required property"),
    "three filters": ({"model": {"filters": [1, 2, 3]}}, "[1, 2, 3]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_schema_rejects_what_the_program_rejects(name: str) -> None:
    values, expected = WRONG[name]
    assert expected in faults(values)
    with pytest.raises(ConfigError):
        trials(values)


RIGHT = [
    {"optimizer": {"learning_rate": 0.1}},
    {"optimizer": {"name": "adadelta", "rho": 1.0}},
    {"sweep": {"grid": {"optimizer.name": ["adam", "nadam"], "model.filters": [[4, 8], [8, 16]]}}},
    {
        "sweep": {
            "random": {"optimizer.learning_rate": {"low": 0.001, "high": 1, "log": True}, "model.dropout": [0, 0.5]}
        }
    },
    {"name": None, "training": {"early_stopping": {"patience": 3}, "validation_fraction": 0.2}},
]


@pytest.mark.parametrize("values", RIGHT)
def test_the_schema_accepts_what_the_program_accepts(values: dict[str, Any]) -> None:
    assert faults(values) == ""
    trials(values)


def test_every_setting_is_listed_with_a_meaning() -> None:
    listed = list(catalogue().values())
    sections = {"training.early_stopping", "sweep"}
    assert {setting.key for setting in listed if "<" not in setting.key} == {*dotted_keys(), *sections}
    assert [setting.key for setting in listed if not setting.meaning] == []


def test_the_schema_offers_each_optimizer_with_its_own_settings() -> None:
    schema = config_schema()
    assert schema["$defs"]["Optimizer"]["properties"]["name"]["enum"] == list(OPTIMIZERS)
    for kind in OPTIMIZERS.values():
        own = schema["$defs"][kind.__name__]
        assert list(own["properties"]) == list(kind.model_fields)
        assert own["additionalProperties"] is False
    assert list(schema["$defs"]["Grid"]["properties"]) == sweepable_keys()


def test_the_reference_in_the_docs_is_up_to_date() -> None:
    write = runpy.run_path(str(ROOT / "tools" / "document_settings.py"))["with_tables"]
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert write(page) == page, "python tools/document_settings.py brings it up to date"
