"""Runs in MLflow's store: a SQLite file, a folder, or a tracking server. Trials and repeats are nested runs.

A run is identified by its tag `mnistexp.run_id`. `mnistexp.digest`, set last, describes the exported content: if it is
equal, only tags and note are updated; if it differs or is missing, the run is exported again and the earlier one is
deleted, which MLflow keeps until `mlflow gc`. MLflow's usage statistics are switched off.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from yaml import YAMLError

from mnistexp.bridges.exported import ExportedRun, Series, exported_runs
from mnistexp.errors import BadInput, RunError, show
from mnistexp.runs import files
from mnistexp.runs.layout import ANNOTATIONS
from mnistexp.runs.results import History
from mnistexp.runs.stored_runs import StoredRun

# MLflow reads it before each transmission, so it must stay set.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Otherwise MLflow retries for four minutes if a server doesn't answer.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
try:
    from alembic.util import CommandError
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError
except ImportError:
    raise BadInput("MLflow's store needs MLflow: pip install 'mnistexp[mlflow]'") from None

SQLITE = "sqlite:///"
STATUS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
MOST_METRICS, MOST_PARAMS = 1000, 100
"""The most values MLflow accepts in one call."""
RUN, DIGEST, PARENT = "mnistexp.run_id", "mnistexp.digest", "mlflow.parentRunId"
REFUSED = re.compile(r"[^\w\-./ :]")
"""Characters not allowed in the name of a metric or parameter."""


@dataclass(frozen=True)
class Exported:
    """A run and its counterpart in the store."""

    run: str
    mlflow_run_id: str
    done: Literal["created", "replaced", "unchanged"]


def export(
    runs: Sequence[StoredRun], tracking_uri: str, *, experiment: str = "mnistexp", artifacts: bool = True
) -> list[Exported]:
    """Export runs to an experiment of the store, which is created if it is missing.

    `tracking_uri`: `sqlite:///FILE`, a folder, or the http address of a tracking server. A new experiment of a SQLite
    store keeps artifacts, which are the run's files, in `mlartifacts` beside it. Raises BadInput for an address or
    experiment that can't be used, RunError if a run can't be read or the store fails.
    """
    read = [(run, exported_runs(run), _tags(run)) for run in runs]
    if not experiment.strip():
        raise BadInput("--experiment is empty, allowed: a name")
    folder = _prepare(tracking_uri)
    with _explained(tracking_uri):
        client = MlflowClient(tracking_uri=tracking_uri)
        experiment_id = _experiment(client, experiment, folder)
        return [_export(client, experiment_id, run, own, tags, artifacts) for run, own, tags in read]


def _prepare(tracking_uri: str) -> Path | None:
    """Check the address before MLflow does, and return the place of artifacts; None if the store decides."""
    allowed = "allowed: sqlite:///FILE, a folder, or http://HOST:PORT"
    scheme, path = urlsplit(tracking_uri).scheme, Path(unquote(urlsplit(tracking_uri).path))
    if scheme in ("http", "https"):
        return None
    if tracking_uri.startswith(SQLITE) and tracking_uri != SQLITE:
        file = Path(tracking_uri.removeprefix(SQLITE))
        with files.explained("read", file):
            is_filled = file.exists() and file.stat().st_size > 0
        if is_filled and not files.read_bytes(file).startswith(b"SQLite format 3\0"):
            raise BadInput(f"--tracking-uri {show(tracking_uri)}: {file} is not a SQLite file")
        files.make_folder(file.parent)
        return file.resolve().parent / "mlartifacts"
    if scheme not in ("", "file") or not tracking_uri:
        raise BadInput(f"--tracking-uri is {show(tracking_uri)}, {allowed}")
    with files.explained("read", path):
        is_file = path.is_file()
    if is_file or path.suffix in (".db", ".sqlite"):
        raise BadInput(f"--tracking-uri {show(tracking_uri)} is not a folder, {allowed}; did you mean {SQLITE}{path}?")
    # MLflow recommends SQLite now, and refuses folders unless this is set.
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    return None


@contextmanager
def _explained(tracking_uri: str) -> Iterator[None]:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except (MlflowException, SQLAlchemyError, CommandError, YAMLError, OSError) as error:
        raise RunError(f"MLflow's store {tracking_uri}: {str(error).splitlines()[0]}") from error


def _experiment(client: MlflowClient, name: str, folder: Path | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        location = (folder / REFUSED.sub("_", name).replace("/", "_")).as_uri() if folder else None
        return str(client.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage != "active":
        raise BadInput(
            f"the experiment {show(name)} is deleted: mlflow experiments restore -x {found.experiment_id}, "
            "or choose another with --experiment"
        )
    return str(found.experiment_id)


def _export(
    client: MlflowClient, experiment: str, run: StoredRun, own: list[ExportedRun], tags: dict[str, str], artifacts: bool
) -> Exported:
    names = [name for name in run.files() if name != ANNOTATIONS] if artifacts else []
    sums = {name: hashlib.sha256(run.read_bytes(name)).hexdigest() for name in names}
    content = json.dumps([[asdict(part) for part in own], sums], sort_keys=True, default=list)
    digest = hashlib.sha256(content.encode()).hexdigest()
    quote = '"' if "'" in run.id else "'"
    earlier = client.search_runs([experiment], f"tags.`{RUN}` = {quote}{run.id}{quote}")
    if len(earlier) == 1 and earlier[0].data.tags.get(DIGEST) == digest:
        found = earlier[0].info.run_id
        client.log_batch(found, tags=[RunTag(key, value) for key, value in tags.items()])
        return Exported(run.id, found, "unchanged")
    whole, *nested = own
    created = _put(client, experiment, run.id, whole, tags)
    for part in nested:
        name = f"{run.id}/{part.place}"
        _put(client, experiment, name, part, {RUN: name, PARENT: created, "mnistexp.command": run.command})
    for name in names:
        client.log_artifact(created, str(run.path / name), name.rpartition("/")[0] or None)
    for old in earlier:
        for child in client.search_runs([experiment], f"tags.`{PARENT}` = '{old.info.run_id}'", max_results=50_000):
            client.delete_run(child.info.run_id)
        client.delete_run(old.info.run_id)
    client.set_tag(created, DIGEST, digest)
    return Exported(run.id, created, "replaced" if earlier else "created")


def _put(client: MlflowClient, experiment: str, name: str, part: ExportedRun, tags: Mapping[str, str]) -> str:
    """Create one MLflow run, and return its id."""
    created: str = client.create_run(experiment, _ms(part.began), dict(tags), name).info.run_id
    texts = ((key, value if isinstance(value, str) else json.dumps(value)) for key, value in part.params.items())
    params = [Param(REFUSED.sub("_", key), text) for key, text in texts]
    series = part.series or Series(History((), ()), ())
    metrics = [Metric(name, value, _ms(time), epoch) for name, epoch, value, time in series.points()]
    ended = part.began if part.ended is None else part.ended
    epochs = len(series.times)
    metrics += [Metric(REFUSED.sub("_", key), value, _ms(ended), epochs) for key, value in part.numbers.items()]
    for start in range(0, len(params), MOST_PARAMS):
        client.log_batch(created, params=params[start : start + MOST_PARAMS])
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(created, metrics=metrics[start : start + MOST_METRICS])
    if part.status != "running":
        client.set_terminated(created, STATUS[part.status], _ms(ended))
    return created


def _tags(run: StoredRun) -> dict[str, str]:
    tags = {
        RUN: run.id,
        "mnistexp.command": run.command,
        "mnistexp.name": run.name,
        "mnistexp.tags": " ".join(run.tags),
        "mlflow.note.content": run.note,
        "mlflow.source.name": f"mnistexp {run.command}",
        "mlflow.source.type": "LOCAL",
    }
    commit = run.environment.get("git_commit")
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
