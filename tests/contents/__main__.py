"""Read finished runs: python -m tests.contents FOLDER|OUTPUT ..., of a run, of many, or what a command printed.

The run of an OUTPUT is the one that its last line names. Exit code 1 where anything is told wrongly.
"""

import sys
from itertools import groupby
from pathlib import Path

from .printed import commands_faults
from .reader import KINDS, show, show_together
from .records import Record


def main(given: list[Path]) -> int:
    said = {Path(text.split()[-1]).name: text for path in given if path.is_file() and (text := path.read_text("utf-8"))}
    runs: list[Path] = []
    for folder in (path for path in given if path.is_dir()):
        runs += [folder] if (folder / "status.json").exists() else sorted(folder.glob("2*Z-*"))
    runs = [run for run in runs if (run / "metrics.json").exists() and Record(run).command in KINDS]
    found = [fault for run in runs for fault in show(run, said.pop(run.name, ""))]
    for _, some in groupby(runs, key=lambda run: run.parent):
        records = [Record(run) for run in some]
        trained = [one.path for one in records if one.command in ("train", "best")]
        found += commands_faults(records) + (show_together(trained) if len(trained) > 1 else [])
    found += [f"what is printed of {run} is read with no run" for run in said]
    print(*found, f"{len(runs)} runs read, {len(found)} faults", sep="\n")
    return int(bool(found) or not runs)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1]))  # where programs.py is
    sys.exit(main([Path(name).resolve() for name in sys.argv[1:]]))
