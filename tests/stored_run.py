"""A run that is stored without a training, for tests of runs folders."""

from pathlib import Path

from mnistexp.runs.run_folder import Run


def store(
    runs: Path, name: str = "x", config: str = "seed: 2\n", *, error: BaseException | None = None, **metrics: object
) -> Path:
    """A run with settings, metrics and a fit: finished, or ended by an error or by Ctrl-C."""
    run = Run.create(runs, "train", name, config, visible=True)
    run.add("metrics.json", metrics)
    run.add("trials/1.json", {"score": 0.5})
    if isinstance(error, KeyboardInterrupt):
        run.interrupt()
    elif error:
        run.fail(error)
    else:
        run.finish()
    return run.path
