"""The command line: parse, call, print. Nothing else prints; here every error becomes a message and an exit code."""

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
    archive_commands,
    best_commands,
    bridge_commands,
    cache_commands,
    completion,
    config_commands,
    console,
    doctor_commands,
    evaluate_commands,
    live_commands,
    report_commands,
    sweep_commands,
    train_commands,
    verify_commands,
)
from mnistexp.cli.options import examples
from mnistexp.cli.parsing import Commands
from mnistexp.cli.printable import printable
from mnistexp.errors import BadInput, ConfigError, Interrupted, MnistexpError
from mnistexp.runs.standard_error import keep_all, own
from mnistexp.training.runtime import own_process

__all__ = ["app", "main"]

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end a command: quietly, with exit code 130, and with nothing lost. Windows lacks the last."""

TRAIN, USE, EXPLORE, SET_UP = "Train and search", "Use runs", "Explore the digits and the network", "Set up"
"""Panels of commands in the help."""

app = Commands(
    name="mnistexp",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run experiments on the first 1,000 MNIST digits: train on 800, test on 200; each run has its own folder.",
    epilog=examples(
        {
            "mnistexp train --epochs 150": "train, and plot the loss curves",
            "mnistexp sweep-optimizer --opt adam": "search Adam's grid by cross-validation",
            "mnistexp best --unseen": "train the best setting and evaluate it",
            "mnistexp reproduce": "run the whole assignment",
            "mnistexp COMMAND --help": "show the options and examples of a command",
        }
    )
    + "\nExit codes: 0 done, 1 failed, 2 bad input, 3 done with failed trials, 130 interrupted; verify: 4 within "
    "tolerance, 5 differs; runs check: 6 a requirement is not met.\n",
)
app.add_typer(config_commands.config_app, name="config", rich_help_panel=SET_UP)
app.add_typer(cache_commands.cache_app, name="cache", rich_help_panel=SET_UP)
app.add_typer(bridge_commands.bridge_app, name="bridge", rich_help_panel=USE)
app.add_typer(archive_commands.runs_app, name="runs", rich_help_panel=USE)
app.command("show-examples", rich_help_panel=EXPLORE, epilog=train_commands.DIGITS_EXAMPLES)(
    train_commands.show_examples
)
app.command("summary", rich_help_panel=EXPLORE, epilog=train_commands.SUMMARY_EXAMPLES)(train_commands.summary)
app.command("train", rich_help_panel=TRAIN, epilog=train_commands.TRAIN_EXAMPLES)(train_commands.train)
app.command(
    "sweep-optimizer",
    rich_help_panel=TRAIN,
    help="Search optimizer settings by cross-validation.",
    epilog=sweep_commands.OPTIMIZER_EXAMPLES,
)(sweep_commands.sweep)
app.command(
    "sweep-dropout",
    rich_help_panel=TRAIN,
    help="Search dropout rates by cross-validation.",
    epilog=sweep_commands.DROPOUT_EXAMPLES,
)(sweep_commands.sweep)
app.command("best", rich_help_panel=TRAIN, epilog=best_commands.BEST_EXAMPLES)(best_commands.best)
app.command("reproduce", rich_help_panel=TRAIN, epilog=best_commands.REPRODUCE_EXAMPLES)(best_commands.reproduce)
app.command("report", rich_help_panel=USE, epilog=report_commands.EXAMPLES)(report_commands.report)
app.command("doctor", rich_help_panel=SET_UP, epilog=doctor_commands.EXAMPLES)(doctor_commands.doctor)
app.command("verify", rich_help_panel=USE, epilog=verify_commands.VERIFY_EXAMPLES)(verify_commands.verify)
app.command("predict", rich_help_panel=USE, epilog=verify_commands.PREDICT_EXAMPLES)(verify_commands.predict)
app.command("evaluate", rich_help_panel=USE, epilog=evaluate_commands.EVALUATE_EXAMPLES)(evaluate_commands.evaluate)
app.command("watch", rich_help_panel=USE, epilog=live_commands.WATCH_EXAMPLES)(live_commands.watch)
app.command("serve", rich_help_panel=USE, epilog=live_commands.SERVE_EXAMPLES)(live_commands.serve)


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
            completion.answer(app)
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
