"""Runs as TensorBoard event files, without TensorFlow.

    <output>/<run id>/                      configuration and note as text, metrics/..., the curves of a training
    <output>/<run id>/repeats/<repeat>/     the curves of each of several trainings
    <output>/<run id>/trials/<trial>/       mean curves and score of a sweep's trial

Each training and each trial is a session of the HParams page. No "experiment" is written: TensorBoard would show only
one; without any it finds the columns of all sessions itself.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mnistexp.bridges.exported import ExportedRun, Series, exported_runs
from mnistexp.errors import BadInput
from mnistexp.runs import files
from mnistexp.runs.layout import CONFIG
from mnistexp.runs.stored_runs import StoredRun

try:
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
    from tensorboard.plugins.hparams import metadata as hparams_metadata
    from tensorboard.plugins.text import metadata as text_metadata
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util import tensor_util
except ImportError:
    raise BadInput("event files need TensorBoard: pip install 'mnistexp[tensorboard]'") from None

SUFFIX = ".mnistexp"
TUNED = ("model.", "optimizer.", "training.")
STATUS = {"done": "STATUS_SUCCESS", "running": "STATUS_RUNNING"}


def export(runs: Sequence[StoredRun], output: Path) -> list[Path]:
    """Write each run's event files below `output/<run id>`, and return these folders.

    The same run gives the same bytes in the same files. Only outdated event files of an earlier export are removed.
    Raises RunError if a run can't be read or a file can't be written.
    """
    contents: dict[Path, dict[str, bytes]] = {}
    for run in runs:
        name = f"events.out.tfevents.{run.started.timestamp():.0f}{SUFFIX}"
        own = {f"{part.place}/{name}".removeprefix("/"): _events(run, part) for part in exported_runs(run)}
        contents[output / run.id] = own
    for folder, events in contents.items():
        written = {folder / name for name in events}
        for name, content in events.items():
            files.make_folder((folder / name).parent)
            files.write_bytes(folder / name, content)
        for path in set(folder.rglob(f"events.out.tfevents.*{SUFFIX}")) - written:
            with files.explained("remove", path):
                path.unlink()
    return list(contents)


def _events(run: StoredRun, part: ExportedRun) -> bytes:
    """Configuration, note and metrics of a run, or scores of a trial; and the curves of one training or trial."""
    began = run.started.timestamp()
    events = _Events(began)
    if not part.place:
        config = files.read_text(run.path / CONFIG)
        events.text("config", "\n".join(f"    {line}" for line in config.splitlines()), began)
        if run.note:
            events.text("note", run.note, began)
    kind, _, number = part.place.partition("/")
    is_trial = kind == "trials"
    if part.series:
        group = f"{run.id}/{int(number)}" if is_trial else run.id
        tuned = {key: value for key, value in run.settings.items() if key.startswith(TUNED)}
        events.session(group, part.params if is_trial else tuned, part.series)
    ended = began if part.ended is None else part.ended
    step = len(part.series.times) if part.series else 0
    for key, value in part.numbers.items():
        events.scalar(key if is_trial else f"metrics/{key}", value, step, ended)
    if part.series:
        events.end(STATUS.get(part.status, "STATUS_FAILURE"), ended)
    return events.content()


class _Events:
    """The content of one event file, in the order of the calls. Times in seconds since 1970."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._buffer = io.BytesIO()
        self._writer = RecordWriter(self._buffer)
        self._add(event_pb2.Event(wall_time=began, file_version="brain.Event:2"))

    def content(self) -> bytes:
        return self._buffer.getvalue()

    def scalar(self, tag: str, value: float, step: int, time: float) -> None:
        # The older of two forms, which other readers understand too.
        self._summary(summary_pb2.Summary.Value(tag=tag, simple_value=value), step, time)

    def text(self, tag: str, text: str, time: float) -> None:
        """Markdown, shown by the text page."""
        content = np.array([text.encode("utf-8", "backslashreplace")], dtype=object)
        metadata = text_metadata.create_summary_metadata("", "")
        tensor = tensor_util.make_tensor_proto(content)
        self._summary(summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor), 0, time)

    def session(self, group: str, params: Mapping[str, object], series: Series) -> None:
        """Begin a session of the HParams page; the page averages sessions of one group."""
        start = plugin_data_pb2.SessionStartInfo(group_name=group, start_time_secs=self._began)
        for key, value in params.items():
            if isinstance(value, bool):
                start.hparams[key].bool_value = value
            elif isinstance(value, int | float):
                start.hparams[key].number_value = value
            else:
                start.hparams[key].string_value = value if isinstance(value, str) else json.dumps(value)
        data = plugin_data_pb2.HParamsPluginData(session_start_info=start)
        self._hparams(hparams_metadata.SESSION_START_INFO_TAG, data, self._began)
        for tag, epoch, number, time in series.points():
            self.scalar(tag, number, epoch, time)

    def end(self, status: str, time: float) -> None:
        """End the session."""
        end = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value(status), end_time_secs=time)
        data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
        self._hparams(hparams_metadata.SESSION_END_INFO_TAG, data, time)

    def _hparams(self, tag: str, data: object, time: float) -> None:
        metadata = hparams_metadata.create_summary_metadata(data)
        tensor = hparams_metadata.NULL_TENSOR
        self._summary(summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor), 0, time)

    def _summary(self, value: object, step: int, time: float) -> None:
        self._add(event_pb2.Event(wall_time=time, step=step, summary=summary_pb2.Summary(value=[value])))

    def _add(self, event: object) -> None:
        # Maps are unordered; the same run must give the same bytes.
        self._writer.write(event.SerializeToString(deterministic=True))  # type: ignore[attr-defined]
