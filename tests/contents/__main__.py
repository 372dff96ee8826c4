"""Read finished runs: python -m tests.contents FOLDER ..., of a run or of many. Exit code 1 where one tells wrong."""

import sys
from pathlib import Path

from .reader import KINDS, OTHERS, show
from .records import Record


def main(folders: list[Path]) -> int:
    runs = []
    for folder in folders:
        runs += [folder] if (folder / "status.json").exists() else sorted(folder.iterdir())
    runs = [run for run in runs if (run / "metrics.json").exists() and Record(run).command in (*KINDS, *OTHERS)]
    found = [fault for run in runs for fault in show(run)]
    print(*found, f"{len(runs)} runs read, {len(found)} faults", sep="\n")
    return int(bool(found) or not runs)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
