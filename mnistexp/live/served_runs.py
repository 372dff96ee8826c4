"""The content of a runs folder that may be served: a snapshot, reports, and a few files of listed runs.

Only listed names are opened, so no text of a request becomes part of a path; links are not followed.
"""

import os
from pathlib import Path
from typing import Any

from mnistexp.errors import RunError
from mnistexp.live.following import Follower
from mnistexp.report import reports
from mnistexp.report.html import page_to_html
from mnistexp.runs import files, stored_runs
from mnistexp.runs.layout import CONFIG, HISTORY, METRICS, STATUS, TRIALS

NEWEST = 50
NAMES = {CONFIG, HISTORY, METRICS, TRIALS}
FIGURES = {".png", ".svg"}


class ServedRuns:
    """The runs of one folder, read-only."""

    def __init__(self, runs_dir: Path) -> None:
        self._root = runs_dir.resolve()
        self._follower = Follower(runs_dir, newest=NEWEST)

    def snapshot(self) -> dict[str, Any]:
        """The current state as plain values for JSON, with the files available for each ended run."""
        now = self._follower.look()
        document: dict[str, Any] = files.plain(now.document())
        for run, shown in zip(now.ended, document["ended"], strict=True):
            shown["files"] = [] if run.path.is_symlink() else sorted(_files(run.path))
        return document

    def report(self, run_id: str) -> str:
        """A new HTML report of a listed run. Raises RunError if the run is missing or damaged."""
        folder = self._folder(run_id)
        if folder is None:
            raise RunError(f"there is no run {run_id}")
        return page_to_html(reports.read_page([stored_runs.load(folder)]))

    def read(self, run_id: str, name: str) -> bytes | None:
        """The content of an available file; None for any other. Raises RunError."""
        folder = self._folder(run_id)
        path = _files(folder).get(name) if folder else None
        return None if path is None else files.read_bytes(path)

    def _folder(self, run_id: str) -> Path | None:
        """The folder of a listed run; None if it is missing or a link."""
        if run_id not in stored_runs.run_names(self._root):
            return None
        folder = self._root / run_id
        return folder if (folder / STATUS).is_file() and not folder.is_symlink() else None


def _files(folder: Path) -> dict[str, Path]:
    """The available files of a run, by name."""
    try:
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return {}
    return {path.name: path for path in found if path.name[0] != "." and (path.name in NAMES or path.suffix in FIGURES)}
