"""The command line: parse, call, print. Nothing else prints; here every error becomes a message and an exit code."""

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from mnistexp import __version__
from mnistexp.cli import best_commands, console, report_commands, sweep_commands
from mnistexp.cli.options import (
    RUNS,
    ConfigOption,
    DataOption,
    DryRunOption,
    EpochsOption,
    JsonOption,
    NameOption,
    QuietOption,
    RepeatsOption,
    RunsOption,
    SeedOption,
    SetOption,
    VerboseOption,
    Voice,
    count_option,
    number,
    settings_for,
)
from mnistexp.errors import BadInput, ConfigError, Interrupted, MnistexpError, Problem

__all__ = ["app", "main"]

app = typer.Typer(
    name="mnistexp",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Small, fast and honest experiments on the first 1,000 MNIST digits: a network learns from 800 of them, "
    "200 test it, and every run is kept in a folder of its own.",
    epilog="""**Examples**

- `mnistexp train --epochs 150`: train, and draw the loss curves
- `mnistexp sweep-optimizer --opt adam`: search Adam's grid by cross-validation
- `mnistexp best --unseen`: combine the sweeps' winners, and say what the result is worth
- `mnistexp reproduce`: the whole assignment, with each figure of its notebook beside ours
- `mnistexp train --set optimizer.name=adam --set model.dropout=0.4 --json`: one JSON document
- `mnistexp show-examples --index 37 --index 235`: look at two digits
- `mnistexp config show --set training.epochs=10`: what would run, and who decided each value

Exit codes: 0 done, 1 failed, 2 bad input, 3 finished with failed trials, 130 interrupted.
""",
)
config_app = typer.Typer(no_args_is_help=True, help="Show or check a configuration, without running anything.")
app.add_typer(config_app, name="config")
app.add_typer(sweep_commands.cache_app, name="cache")
app.command("sweep-optimizer", help="Search optimizers' settings by cross-validation on the training digits.")(
    sweep_commands.sweep
)
app.command("sweep-dropout", help="Search the dropout rate by cross-validation on the training digits.")(
    sweep_commands.sweep
)
app.command("best")(best_commands.best)
app.command("reproduce")(best_commands.reproduce)
app.command("report")(report_commands.report)


@app.command()
def train(
    config: ConfigOption = None,
    sets: SetOption = None,
    epochs: EpochsOption = None,
    opt: Annotated[str | None, typer.Option("--opt", metavar="NAME", help="Optimizer, with Keras' defaults.")] = None,
    seed: SeedOption = None,
    repeats: RepeatsOption = None,
    batch_size: Annotated[int | None, count_option("--batch-size", "Digits per update.")] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            "--validation-fraction", parser=number, metavar="X", help="Validate on this share of the training part."
        ),
    ] = None,
    data: DataOption = None,
    name: NameOption = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run: its id, or `latest`.")
    ] = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train the network, draw its loss curves, and say how many epochs were best and how good it is."""
    voice = Voice(json, quiet, verbose)
    given = {
        "epochs": epochs, "opt": opt, "seed": seed, "repeats": repeats, "batch_size": batch_size,
        "validation_fraction": validation_fraction, "data": data, "name": name,
    }  # fmt: skip
    if resume is not None:
        refused = [f"--{key.replace('_', '-')}" for key, value in given.items() if value is not None]
        refused += ["--config"] * bool(config) + ["--set"] * bool(sets) + ["--dry-run"] * dry_run
        if refused:
            raise BadInput(f"--resume goes on with the settings of its run, so it can't be given with {refused[0]}")
    found = settings_for("train", config, sets, **given)
    if found.config.sweep:
        raise BadInput(
            "the configuration has a sweep section, and train runs one setting: use mnistexp sweep-optimizer"
        )
    if dry_run:
        voice.result(
            console.dry_run_document(found), console.settings_table(found), console.training_plan(found.config)
        )
        return
    from mnistexp import experiments
    from mnistexp.cli.progress import watching
    from mnistexp.runs import stored_runs

    with watching(voice.err, quiet=quiet or json) as watch:
        if resume is not None:
            info = stored_runs.find(runs_dir, resume)
            outcome = experiments.resume_training(stored_runs.load(info.path), watch)
        else:
            outcome = experiments.run_training(found.config, runs_dir, watch)
    voice.result(outcome.document(), *console.training_report(outcome))
    if outcome.metrics["diverged_at"]:
        voice.error(console.divergence(outcome.metrics))
        raise typer.Exit(MnistexpError.exit_code)


@app.command("show-examples")
def show_examples(
    config: ConfigOption = None,
    sets: SetOption = None,
    index: Annotated[list[int] | None, count_option("--index -i", "Position in the training part; repeatable.")] = None,
    count: Annotated[int | None, count_option("--count", "Draw so many at random instead.")] = None,
    seed: SeedOption = None,
    data: DataOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show some training digits with their labels, the one-hot rows, and what the arrays look like."""
    voice = Voice(json, quiet, verbose)
    found = settings_for("train", config, sets, seed=seed, data=data)
    from mnistexp import examples

    outcome = examples.run_examples(found.config, runs_dir, indices=index, count=count)
    terminal = Console()
    pictures: list[str] = []
    if terminal.is_terminal and not (quiet or json):
        unicode = "utf" in terminal.encoding
        pictures = examples.terminal_pictures(found.config, outcome, terminal.width, unicode)
    voice.result(outcome.document(), *pictures, *console.examples_report(outcome))


@app.command()
def summary(
    config: ConfigOption = None,
    sets: SetOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the network layer by layer: output shapes, and the arithmetic of each parameter count."""
    voice = Voice(json, quiet, verbose)
    found = settings_for("train", config, sets)
    from mnistexp import examples

    outcome = examples.run_summary(found.config, runs_dir)
    voice.result(outcome.document(), *console.summary_report(outcome))


@config_app.command("show")
def config_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Packaged configuration to start from.")] = "train",
    config: ConfigOption = None,
    sets: SetOption = None,
    seed: SeedOption = None,
    epochs: EpochsOption = None,
    json: JsonOption = False,
) -> None:
    """Print the resolved configuration, and where each value came from."""
    found = settings_for(name, config, sets, seed=seed, epochs=epochs)
    document = {"config": found.config.model_dump(mode="json"), "origins": found.origins}
    Voice(json).result(document, console.settings_table(found))


@config_app.command("validate")
def config_validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML files to check.")],
    json: JsonOption = False,
) -> None:
    """Check configurations, and report every problem of every file at once."""
    problems: list[Problem] = []
    for file in files:
        try:
            settings_for("train", file, None)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    Voice(json).result({"valid": files}, *(Text(f"{file}: valid") for file in files))


def _version(asked: bool) -> None:
    if asked:
        print(f"mnistexp {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of all commands."""


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(error: MnistexpError, wants_json: bool) -> int:
    """Print an error, one line for each problem, and return its exit code."""
    if wants_json:
        problems = [vars(problem) for problem in error.problems] if isinstance(error, ConfigError) else []
        document = {"error": str(error), "exit_code": error.exit_code, "problems": problems}
        print(console.json_text(document), flush=True)
    print(f"mnistexp: error: {error}", file=sys.stderr, flush=True)
    return error.exit_code


def _say_usage(error: typer.TyperException, wants_json: bool) -> int:
    message = error.format_message()
    if not message:  # the help has been printed, as nothing was asked for
        return BadInput.exit_code
    context = getattr(error, "ctx", None)
    return _say(BadInput(f"{message} (see {context.command_path} --help)" if context else message), wants_json)


def _say_bug(error: Exception, wants_json: bool) -> int:
    if {"-v", "--verbose"} & set(sys.argv):
        traceback.print_exception(error)
    reason = " ".join(str(error).split())
    return _say(MnistexpError(f"{type(error).__name__}: {reason} (a bug; --verbose shows where)"), wants_json)


def main() -> NoReturn:
    """Run the command line; every way out of it is an exit code of `errors.py`."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _as_interrupt)
    wants_json = "--json" in sys.argv
    try:
        code = app(standalone_mode=False) or 0
        if code == Interrupted.exit_code:  # typer turns Ctrl-C into the code alone
            code = _say(Interrupted("stopped"), wants_json)
    except MnistexpError as error:
        code = _say(error, wants_json)
    except KeyboardInterrupt:
        code = _say(Interrupted("stopped"), wants_json)
    except typer.TyperException as error:
        code = _say_usage(error, wants_json)
    except BrokenPipeError:
        # Whoever read the output has gone, as `| head` does; Python must not complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = _say_bug(error, wants_json)
    sys.exit(code)
