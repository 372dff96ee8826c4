"""The commands of a single training: train, and a look at the digits and at the network."""

from typing import TYPE_CHECKING, Annotated

from rich.console import Console

from mnistexp.cli import console, console_report
from mnistexp.cli.call import Call
from mnistexp.cli.options import COUNT, DATA, EXECUTION, RUN, option
from mnistexp.cli.parsing import EXPLORE, TRAIN, Commands
from mnistexp.cli.sweep_commands import commands_for
from mnistexp.errors import BadInput
from mnistexp.runs.layout import Kind

if TYPE_CHECKING:
    from mnistexp.runs.results import Outcome


commands = Commands()


@commands.add("show-examples", shares="config sets ... seed data runs_dir json quiet verbose", panel=EXPLORE)
def show_examples(
    call: Call,
    index: Annotated[
        list[int] | None,
        option(DATA, "--index -i", "Index of a training digit; repeatable", **COUNT, show_default="37, 235, 72"),
    ] = None,
    count: Annotated[int | None, option(DATA, "--count", "Number of random digits to show instead", **COUNT)] = None,
) -> None:
    """Show training digits, their labels and one-hot rows.

    mnistexp show-examples  # the assignment's three digits
    mnistexp show-examples --index 0 --index 799  # the first and the last training digit
    mnistexp show-examples --count 5 --seed 7  # five random digits; the same five for the same seed
    """
    found = call.settings("train")
    from mnistexp.commands import examples

    outcome = examples.run_examples(found.config, call.runs_dir, indices=index, count=count)
    terminal = Console()
    pictures: list[str] = []
    if terminal.is_terminal and not (call.quiet or call.json):
        pictures = examples.terminal_pictures(found.config, outcome, terminal.width, console.shows_unicode())
    call.result(outcome.document(), *pictures, *console_report.answer(outcome))


@commands.add("summary", shares="config sets runs_dir json quiet verbose", panel=EXPLORE)
def summary(call: Call) -> None:
    """Show the layers, output shapes and parameter counts.

    mnistexp summary  # the network of the assignment
    mnistexp summary --set model.dense_units=64  # a smaller network
    """
    found = call.settings("train")
    from mnistexp.commands import examples

    outcome = examples.run_summary(found.config, call.runs_dir)
    call.result(outcome.document(), *console_report.answer(outcome))


@commands.add(
    "train",
    shares="config sets epochs opt seed repeats learning_rate batch_size dropout validation_fraction data name tag note"
    " ... runs_dir dry_run json quiet verbose",
    panel=TRAIN,
)
def train(
    call: Call,
    resume: Annotated[
        str | None,
        option(EXECUTION, "--resume", "Resume an unfinished training; with --epochs lengthen a finished one", **RUN),
    ] = None,
) -> None:
    """Train the network and plot its loss curves.

    mnistexp train  # the assignment: 60 epochs of SGD
    mnistexp train --epochs 150 --validation-fraction 0.2  # validate on 160 held-out digits
    mnistexp train --opt adam --lr 0.003 --repeats 3  # three seeds
    mnistexp train --resume latest --epochs 100  # lengthen the newest finished training
    """
    epochs = call.flags.get("epochs")
    if resume is not None:
        lengthens = {"--epochs", "--name", "--tag", "--note"} if epochs is not None else set()
        if refused := [flag for flag in call.changed() if flag not in lengthens]:
            raise BadInput(f"--resume uses the settings of its run and can't be combined with {refused[0]}")
    found = call.settings()
    if found.config.sweep:
        command = [*commands_for(found.config.sweep), Kind.SWEEP_OPTIMIZER][0]
        raise BadInput(f"the configuration has a sweep section, but train runs one setting: use mnistexp {command}")
    if call.dry_run:
        call.plan(found, {}, console.training_plan(found.config), with_settings=True)
        return
    from mnistexp.commands.train import continue_training, run_training

    def answer(outcome: "Outcome") -> None:
        call.result(outcome.document(), *console_report.answer(outcome))

    # A program reads the answer when everything is there; a person need not wait for the figures.
    with call.working(None if call.json else answer) as watch:
        if resume is None:
            outcome = run_training(found.config, call.runs_dir, watch)
        else:
            outcome = continue_training(call.runs_dir, resume, epochs, watch, name=call.flags.get("name"))
    if call.json:
        answer(outcome)
    call.end(outcome)
