"""The help of every command: panels, defaults with their source, no types of switches, a verb first."""

import re
from functools import cache

import pytest
from test_docs import COMMANDS, RUNNABLE
from typer.core import TyperOption
from typer.testing import CliRunner

from mnistexp.cli.app import app
from mnistexp.commands.examples import DEFAULT_EXAMPLES
from mnistexp.commands.verify import story
from mnistexp.config import settings, yaml_source

VERBS = re.compile(
    "(Add|Archive|Check|Choose|Classify|Compare|Copy|Create|Evaluate|Export|Follow|Import|Inspect|List|Log|Move|Print|"
    "Remove|Restore|Retrain|Run|Search|Serve|Set|Show|Train|Write)\\b"
)


@cache
def help_of(name: str, width: int = 100) -> str:
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(app, [*name.split()[1:], "--help"])
    assert done.exit_code == 0, done.exception
    return done.stdout


def in_one_line(text: str) -> str:
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_begins_with_a_verb_and_fits_one_line(name: str) -> None:
    summary = (COMMANDS[name].help or "").partition("\n\n")[0]
    assert VERBS.match(summary), summary
    assert name == "mnistexp" or len(summary) <= 62, summary


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_option_is_in_a_panel(name: str) -> None:
    options = [param for param in COMMANDS[name].params if isinstance(param, TyperOption)]
    assert [param.name for param in options if not param.rich_help_panel] == []
    assert [param.name for param in options if not param.is_flag and not param.metavar] == []


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("width", [80, 100, 140])
def test_help_fits_its_width_and_shows_no_types(name: str, width: int) -> None:
    text = help_of(name, width)
    assert not re.search(r"<(bool|str|int|float|list)", text)
    assert "None" not in text
    framed = [line for line in text.splitlines() if line.startswith(("│", "╭", "╰"))]
    assert {len(line) for line in framed} == {width}


def test_the_help_of_train_fits_40_lines() -> None:
    assert len(help_of("mnistexp train").splitlines()) <= 40


@pytest.mark.parametrize("name", ["train", "sweep-optimizer", "sweep-dropout", "best"])
def test_defaults_are_those_of_the_packaged_configuration(name: str) -> None:
    config = settings.resolve([yaml_source.parse(settings.packaged(name), name)]).config
    text = in_one_line(help_of(f"mnistexp {name}", 140))
    assert f"epochs [default: {config.training.epochs}, from {name}.yaml]" in text
    assert f"Random seed [default: {config.seed}, from {name}.yaml]" in text
    assert f"one seed each [default: {config.repeats}]" in text
    if config.sweep:
        swept = [str(optimizer) for grid in config.sweep.grids for optimizer in grid.get("optimizer.name", ())]
        assert f"[default: {', '.join(swept or [config.optimizer.name])}, from {name}.yaml]" in text


def test_defaults_of_the_program_are_those_in_the_help() -> None:
    verify = in_one_line(help_of("mnistexp verify", 140))
    assert f"accuracies [default: {story.TOLERANCE}]" in verify
    assert f"retrain [default: {story.FITS}]" in verify
    shown = in_one_line(help_of("mnistexp show-examples", 140))
    assert f"[default: {', '.join(map(str, DEFAULT_EXAMPLES))}]" in shown


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("width", [80, 140])
def test_each_example_is_a_line_of_its_own(name: str, width: int) -> None:
    lines = help_of(name, width).splitlines()
    commands = [line.partition("  # ")[0].strip() for line in lines[lines.index(" Examples") + 1 :]]
    written = re.findall(r"^- `([^`]*)`", COMMANDS[name].epilog or "", re.MULTILINE)
    assert written
    assert set(written) <= set(commands)
