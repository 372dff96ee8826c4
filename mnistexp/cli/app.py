"""The command line: its groups of commands; here every error becomes a message and an exit code."""

import atexit
import gc
import os
import signal
import sys
import threading
import time
import traceback
from types import CodeType, FrameType
from typing import Annotated, NoReturn

import typer

from mnistexp import __version__
from mnistexp.cli import (
    best_commands,
    compare_commands,
    completion,
    console,
    export_commands,
    live_commands,
    model_commands,
    run_commands,
    setup_commands,
    sweep_commands,
    train_commands,
    upkeep_commands,
)  # fmt: skip
from mnistexp.cli.help import with_examples
from mnistexp.cli.parsing import SET_UP, USE, Commands
from mnistexp.cli.printable import printable
from mnistexp.errors import BadInput, ConfigError, Interrupted, MnistexpError
from mnistexp.runs.standard_error import keep_all, own
from mnistexp.training.runtime import own_process

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end a command: quietly, with exit code 130, and with nothing lost. Windows lacks the last."""

ABOUT, EXAMPLES = with_examples(
    """Run experiments on the first 1,000 MNIST digits: train on 800, test on 200; each run has its own folder.

mnistexp train --epochs 150  # train, and plot the loss curves
mnistexp sweep-optimizer --opt adam  # search Adam's grid by cross-validation
mnistexp best --unseen  # train the best setting and evaluate it
mnistexp reproduce  # run the whole assignment
mnistexp COMMAND --help  # show the options and examples of a command
"""
)
CODES = (
    "\nExit codes: 0 done, 1 failed, 2 bad input, 3 done with failed trials, 130 interrupted; verify: 4 within "
    "tolerance, 5 differs; runs check: 6 a requirement is not met.\n"
)
app = Commands(
    name="mnistexp",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=ABOUT,
    epilog=EXAMPLES + CODES,
)
runs = Commands(help="List, show, compare and manage runs.")
for group in (run_commands.commands, compare_commands.commands, upkeep_commands.commands, export_commands.of_runs):
    runs.add_typer(group)
for module in (
    train_commands, sweep_commands, best_commands, export_commands, setup_commands, model_commands, live_commands,
):  # fmt: skip
    app.add_typer(module.commands)
app.add_typer(setup_commands.configurations, name="config", rich_help_panel=SET_UP)
app.add_typer(setup_commands.caches, name="cache", rich_help_panel=SET_UP)
app.add_typer(export_commands.bridges, name="bridge", rich_help_panel=USE)
app.add_typer(runs, name="runs", rich_help_panel=USE)


def _version(asked: bool) -> None:
    if asked:
        print(f"mnistexp {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
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
    print(f"mnistexp: error: {printable(str(error))}", file=own(), flush=True)
    return error.exit_code


def _say_usage(error: typer.TyperException, wants_json: bool) -> int:
    message = error.format_message()
    if not message:  # the help has been printed, as nothing was asked for
        return BadInput.exit_code
    context = getattr(error, "ctx", None)
    return _say(BadInput(f"{message} (see {context.command_path} --help)" if context else message), wants_json)


def _verbose() -> bool:
    return bool({"-v", "--verbose"} & set(sys.argv))


def _say_bug(error: Exception, wants_json: bool) -> int:
    if _verbose():
        traceback.print_exception(error)
    reason = " ".join(str(error).split())
    return _say(MnistexpError(f"{type(error).__name__}: {reason} (a bug; --verbose shows where)"), wants_json)


def main() -> NoReturn:
    """Run the command line; every way out of it is an exit code of `errors.py`."""
    # Looking for garbage finds none while libraries load, and at the end nothing needs to be freed any more.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    own_process()
    hook = sys.unraisablehook
    try:
        _listen()
        if completion.asked():
            completion.complete(app)
        if not _verbose():
            keep_all()
        code = _run("--json" in sys.argv)
    except KeyboardInterrupt:  # once more, while the first one was answered
        code = Interrupted.exit_code
    finally:
        for number in STOPPING:  # nothing is left to stop, and the code is to stay what it is
            signal.signal(number, signal.SIG_IGN)
        sys.unraisablehook = hook
    # Where Ctrl-C came while source text was run, as a dataclass does, Python would end by SIGINT in spite of the code;
    # text that runs to its end has it forget this.
    exec("")
    sys.exit(code)


def _listen() -> None:
    """Have each signal that stops a command raise KeyboardInterrupt."""
    # Python's own answer to Ctrl-C, for asyncio looks for it; and also where a script's `&` has SIGINT ignored, as a
    # command that only `kill -9` ends would be worse.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in STOPPING[1:]:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(number, _as_interrupt)
    sys.unraisablehook = _interrupt_again


def _interrupt_again(dropped: "sys.UnraisableHookArgs") -> None:
    """Python drops exceptions of finalizers and of weak references' callbacks, which each import has: Ctrl-C too.

    Raises Ctrl-C again after the callback; reports any other exception as Python does.
    """
    if dropped.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(dropped)
    elif hasattr(signal, "pthread_kill"):
        threading.Thread(target=_interrupt_after, args=[_interrupt_again.__code__]).start()


def _interrupt_after(hook: CodeType) -> None:
    """Interrupt the main thread once it has left the hook, in which Python would drop the interrupt again."""
    main = threading.main_thread().ident or 0
    while any(frame.f_code is hook for frame, _ in traceback.walk_stack(sys._current_frames().get(main))):
        time.sleep(0.01)
    signal.pthread_kill(main, signal.SIGINT)


def _run(wants_json: bool) -> int:
    """Do what the arguments ask for; the exit code."""
    try:
        code = app(standalone_mode=False) or 0
        # typer turns Ctrl-C into the code alone
        return _say(Interrupted("stopped"), wants_json) if code == Interrupted.exit_code else code
    except MnistexpError as error:
        return _say(error, wants_json)
    except KeyboardInterrupt:
        return _say(Interrupted("stopped"), wants_json)
    except typer.TyperException as error:
        return _say_usage(error, wants_json)
    except BrokenPipeError:
        # Whoever read the output has gone, as `| head` does; Python must not complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        return _say(MnistexpError(f"not enough memory: {error}".removesuffix(": ")), wants_json)
    except Exception as error:
        return _say_bug(error, wants_json)
