"""Tables of runs, and archives: what one machine writes another takes in, and nothing else."""

import csv
import io
import json
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import answer
from stored_run import store

from mnistexp.errors import BadInput, MnistexpError, RunError
from mnistexp.runs import archive_members, export, query
from mnistexp.runs.annotations import annotate, read_annotations
from mnistexp.runs.archive import Imported, import_archive, write_archive
from mnistexp.runs.run_folder import Run
from mnistexp.runs.staging import clean_stale_staging
from mnistexp.runs.status import Owner, Status, now, read_record, write_status
from mnistexp.runs.stored_runs import list_runs, load

MINIMAL = {
    "status.json": json.dumps(
        {
            "schema_version": 1,
            "status": "done",
            "command": "train",
            "name": "x",
            "started": "2026-11-24T05:37:12Z",
            "finished": "2026-11-24T05:38:12Z",
            "pid": 1,
            "boot": "",
            "process_started": 0,
        }
    ),
    "config.yaml": "seed: 2\n",
    "environment.json": '{"schema_version": 1}',
}
ID = "20261124T053712Z-train-x-1a2b"


def contents(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not Path(name).name.startswith(".")}


def nothing_written(runs: Path) -> bool:
    return not runs.exists() or list(runs.iterdir()) == []


# Tables


def table(runs: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(export.runs_csv(query.select(runs, sort="started")))))


def test_tables_hold_the_differing_settings_and_the_measurements(runs: Path) -> None:
    first = store(runs, "a", "seed: 1\nmodel:\n  dropout: 0.5\n", test_accuracy=0.1 + 0.2, diverged=False)
    store(runs, "b", "seed: 1\nmodel:\n  dropout: 0\n", epochs=3)
    annotate(first, add=["y", "x"], note="ja")
    header, row, other = table(runs)
    fields = ["id", "command", "name", "status", "started", "finished", "seconds", "exit_code", "error"]
    assert header == [
        *fields, "tags", "note", "config.model.dropout", "metrics.test_accuracy", "metrics.diverged", "metrics.epochs"
    ]  # fmt: skip
    assert row[:4] == [first.name, "train", "a", "done"]
    assert row[9:] == ["x y", "ja", "0.5", "0.30000000000000004", "false", ""]
    assert other[9:] == ["", "", "0", "", "", "3"]
    document = export.runs_document(query.select(runs, ["2"]))["runs"][0]
    assert (document["config"], document["tags"], document["note"]) == ({}, ["x", "y"], "ja")
    assert document["metrics"] == {"test_accuracy": 0.30000000000000004, "diverged": False}


def test_a_setting_that_only_some_have_differs_and_so_do_one_and_true(runs: Path) -> None:
    store(runs, config="a: 1\nb: 1\nc: 1\nd: 0\ne: null\n")  # null is as good as not set
    store(runs, config="a: true\nc: 1.0\nd: 0\n")
    assert export.differing([run.settings for run in query.select(runs)]) == ["a", "b"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1"])  # noqa: RUF001
def test_no_text_is_a_formula_and_numbers_stay_numbers(runs: Path, text: str) -> None:
    store(runs, text, loss=-0.5)
    header, row = table(runs)
    assert row[header.index("name")] == f"'{text}"
    assert row[header.index("metrics.loss")] == "-0.5"


def test_markdown_cells_stay_cells(runs: Path) -> None:
    annotate(store(runs, "a|b\n<script>"), note="*[x](y)*")
    lines = export.runs_markdown(query.select(runs)).splitlines()
    assert len(lines) == 3
    assert "| a\\|b \\<script\\> |" in lines[2]
    assert "| \\*\\[x\\](y)\\* |" in lines[2]


# There and back


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_real_runs_arrive_as_they_were(finished: dict[str, Path], tmp_path: Path) -> None:
    folders = list(finished.values())
    write_archive(folders, tmp_path / "runs.zip")
    taken = import_archive(tmp_path / "runs.zip", tmp_path / "new" / "runs")
    assert set(taken.imported) == {folder.name for folder in folders}
    for folder in folders:
        assert contents(tmp_path / "new" / "runs" / folder.name) == contents(folder)
    assert import_archive(tmp_path / "runs.zip", tmp_path / "new" / "runs") == Imported((), taken.imported)
    with zipfile.ZipFile(tmp_path / "runs.zip") as archive:
        assert archive.testzip() is None
        assert not any("/." in name for name in archive.namelist())


def test_the_same_runs_give_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    folders = [store(runs), store(runs)]
    annotate(folders[0], note="Größe")
    shutil.copytree(runs, tmp_path / "copy")
    (tmp_path / "copy" / folders[1].name / ".hidden").touch()
    write_archive(folders, tmp_path / "1.zip")
    write_archive([tmp_path / "copy" / folder.name for folder in reversed(folders)], tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_a_run_exported_while_running_is_interrupted_and_can_be_resumed(runs: Path, tmp_path: Path) -> None:
    with Run.create(runs, "train", "x", "seed: 2\n", visible=True) as run:
        run.add("trials/1.json", {"score": 0.5})
        write_archive([run.path], tmp_path / "runs.zip")
    import_archive(tmp_path / "runs.zip", tmp_path / "new")
    assert [info.status for info in list_runs(tmp_path / "new")] == ["interrupted"]
    with Run.resume(tmp_path / "new" / run.id) as again:
        again.add("metrics.json", {})
    assert load(again.path).status == "done"


def test_only_missing_runs_are_imported(runs: Path, tmp_path: Path) -> None:
    first, second = store(runs), store(runs)
    annotate(second, note="theirs")
    write_archive([first, second], tmp_path / "runs.zip")
    shutil.rmtree(first)
    annotate(second, note="ours")
    assert import_archive(tmp_path / "runs.zip", runs) == Imported((first.name,), (second.name,))
    assert read_annotations(second).note == "ours"


def test_runs_that_could_not_be_imported_are_not_exported(runs: Path, tmp_path: Path) -> None:
    def refused(path: Path, expected: str) -> None:
        with pytest.raises(RunError, match=expected):
            write_archive([path], tmp_path / "runs.zip")
        assert not (tmp_path / "runs.zip").exists()

    damaged, linked, named = store(runs), store(runs), store(runs)
    (damaged / "trials" / "1.json").write_text("{")
    (linked / "passwords").symlink_to("/etc/passwd")
    (named / "a:b").touch()
    refused(damaged, "1.json is damaged")
    refused(linked, "passwords: it is a link")
    refused(named, "unsafe name")


def test_two_runs_of_one_name_are_not_mixed_up(runs: Path, tmp_path: Path) -> None:
    path = store(runs)
    shutil.copytree(runs, tmp_path / "copy")
    write_archive([path, runs / "." / path.name], tmp_path / "runs.zip")
    with pytest.raises(BadInput, match="two runs are called"):
        write_archive([path, tmp_path / "copy" / path.name], tmp_path / "runs.zip")


# Archives from strangers


def pack(path: Path, members: dict[str, str | bytes] | None = None, change: Callable[..., None] | None = None) -> Path:
    """An archive of one sound run, and of `members` beside it; `change` is called with each member before writing."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ({f"{ID}/{name}": text for name, text in MINIMAL.items()} | (members or {})).items():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = (stat.S_IFDIR if name.endswith("/") else stat.S_IFREG) << 16
            if change:
                change(member)
            archive.writestr(member, content)
    return path


def test_archives_of_other_programs_are_imported(runs: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {f"{ID}/": "", f"{ID}/trials/": "", f"{ID}/notes.txt": "hello"})
    assert import_archive(path, runs).imported == (ID,)
    assert (runs / ID / "notes.txt").read_text() == "hello"


HOSTILE_NAMES = [
    "../evil", f"{ID}/../../evil", f"{ID}/..", "/evil", "//evil/x", "C:/evil", f"{ID}/C:evil", f"{ID}\\..\\evil",
    f"{ID}/a\\b", f"{ID}/a\x00b", "\x00", "", "/", ".", f"{ID}//x", f"./{ID}/x", f"{ID}/./x", f"{ID}/.lock",
    ".staging-x/status.json", f"{ID}/a\nb", f"{ID}/a\x1b[2J", f"{ID}/trailing.", f"{ID}/trailing ", f"{ID}/CON",
    f"{ID}/nul.txt", f"{ID}/{'x' * 300}", "/".join([ID, *"abcdefgh"]), "stray.txt", f"{ID}/a?b", f"{ID}/a*b",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_unsafe_names_are_refused(runs: Path, tmp_path: Path, name: str) -> None:
    placeholder = "n" * max(1, len(name))
    path = pack(tmp_path / "a.zip", {placeholder: "evil"})
    # Written by hand: the library's own writer mends some of these.
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), name.encode().ljust(len(placeholder), b"/")))
    with pytest.raises(BadInput, match=r"a\.zip: the member"):
        import_archive(path, runs)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    "names",
    [
        (f"{ID}/Status.json",),
        (f"{ID}/trials/1.json", f"{ID}/Trials/2.json"),
        (f"{ID.upper()}/config.yaml",),
        (f"{ID}/gr\u00f6\u00dfe", f"{ID}/gro\u0308sse"),
        (f"{ID}/a", f"{ID}/a/b"),
        (f"{ID}/a/b", f"{ID}/A"),
        (ID,),
    ],
)
def test_names_that_collide_are_refused(runs: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    path = pack(tmp_path / "a.zip", dict.fromkeys(names, '{"schema_version": 1}'))
    with pytest.raises(BadInput, match="the member"):
        import_archive(path, runs)
    assert nothing_written(runs)


def test_one_name_twice_is_refused(runs: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{ID}/status.json", "{}")
    with pytest.raises(BadInput, match=r"status\.json"):
        import_archive(path, runs)


def set_mode(mode: int) -> Callable[[zipfile.ZipInfo], None]:
    return lambda member: setattr(member, "external_attr", (mode | 0o777) << 16)


def set_packing(kind: int) -> Callable[[zipfile.ZipInfo], None]:
    return lambda member: setattr(member, "compress_type", kind)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (set_mode(stat.S_IFLNK), "is a link"),
        (set_mode(stat.S_IFIFO), "is a special file"),
        (set_mode(stat.S_IFDIR), "is a special file"),
        (set_packing(zipfile.ZIP_LZMA), "has an unsupported compression"),
        (set_packing(zipfile.ZIP_BZIP2), "has an unsupported compression"),
    ],
)
def test_only_plain_files_are_taken(
    runs: Path, tmp_path: Path, change: Callable[[zipfile.ZipInfo], None], expected: str
) -> None:
    with pytest.raises(BadInput, match=expected):
        import_archive(pack(tmp_path / "a.zip", change=change), runs)
    assert nothing_written(runs)


def test_encrypted_members_are_refused(runs: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is encrypted"):
        import_archive(path, runs)


def test_bombs_are_refused_before_anything_is_unpacked(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.zip", {f"{ID}/zeros.bin": bytes(65 * 2**20)})
    with pytest.raises(BadInput, match="times its size, allowed: 100 times"):
        import_archive(path, runs)
    with pytest.raises(BadInput, match=r"zeros\.json.* bytes, allowed: 33,554,432"):
        import_archive(pack(tmp_path / "b.zip", {f"{ID}/zeros.json": bytes(33 * 2**20)}), runs)
    monkeypatch.setattr(archive_members, "LARGEST_TOTAL", 1000)
    with pytest.raises(BadInput, match="allowed: 1,000"):
        import_archive(path, runs)
    monkeypatch.setattr(archive_members, "MOST_MEMBERS", 2)
    with pytest.raises(BadInput, match="4 members, allowed: 2"):
        import_archive(path, runs)
    assert nothing_written(runs)


def test_a_member_that_is_larger_than_it_says_is_damage(runs: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {f"{ID}/zeros.bin": bytes(2**20)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 2**20), struct.pack("<L", 10)))
    with pytest.raises(BadInput, match="damaged"):
        import_archive(path, runs)
    assert nothing_written(runs)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({f"{ID}/status.json": "{"}, f"{ID}/status.json is damaged: not JSON"),
        ({f"{ID}/status.json": MINIMAL["status.json"].replace("done", "perfect")}, "status is 'perfect'"),
        ({f"{ID}/status.json": MINIMAL["status.json"].replace("1,", "7,", 1)}, "schema version 7"),
        ({f"{ID}/environment.json": "[]"}, f"{ID}/environment.json is damaged"),
        ({f"{ID}/config.yaml": "a: [\n"}, f"{ID}/config.yaml"),
        ({f"{ID}/metrics.json": '{"schema_version": 1, "loss": NaN}'}, f"{ID}/metrics.json is damaged"),
        ({f"{ID}/trials/1.json": '{"schema_version": 1'}, f"{ID}/trials/1.json is damaged"),
        ({f"{ID}/history.csv": "epoch,loss\n"}, f"{ID}/history.csv is damaged"),
        ({f"{ID}/annotations.json": '{"schema_version": 1, "tags": ["a b"], "note": ""}'}, "can't be a tag"),
        ({"other/config.yaml": "a: 1\n"}, "other is not a run: status.json is missing"),
        ({"other/status.json": MINIMAL["status.json"]}, "other/config.yaml"),
    ],
)
def test_one_damaged_run_stops_the_whole_import(
    runs: Path, tmp_path: Path, members: dict[str, str | bytes], expected: str
) -> None:
    with pytest.raises(BadInput) as caught:
        import_archive(pack(tmp_path / "a.zip", members), runs)
    assert expected in str(caught.value)
    assert "a.zip" in str(caught.value)
    assert ".staging" not in str(caught.value)
    assert not runs.exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"Rar!\x1a\x07", b"\x1f\x8b" + bytes(30)])
def test_other_files_are_refused(runs: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    for path in (tmp_path / "a.zip", tmp_path, tmp_path / "missing.zip"):
        with pytest.raises(BadInput, match=str(path)):
            import_archive(path, runs)
    assert not runs.exists()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_one_clear_error_or_none(tmp_path: Path, data: st.DataObject) -> None:
    path, runs = tmp_path / "a.zip", tmp_path / "runs"
    content = bytearray(pack(path, {f"{ID}/weights.bin": bytes(range(256))}).read_bytes())
    if data.draw(st.booleans(), "truncate"):
        del content[data.draw(st.integers(0, len(content)), "at") :]
    for _ in range(data.draw(st.integers(1, 6), "bytes changed") if content else 0):
        content[data.draw(st.integers(0, len(content) - 1), "where")] = data.draw(st.integers(0, 255), "value")
    path.write_bytes(content)
    try:
        import_archive(path, runs)
    except MnistexpError:
        assert not runs.exists()
    else:
        for info in list_runs(runs):
            assert load(info.path).status == "done"
        shutil.rmtree(runs)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.sampled_from("a.:/\\ \0\n~C\u00e9"), max_size=12))
def test_no_name_leaves_its_folder(tmp_path: Path, name: str) -> None:
    path, runs = tmp_path / "a.zip", tmp_path / "runs"
    pack(path, {f"{ID}/{name}": "x"} if name else {})
    try:
        import_archive(path, runs)
    except MnistexpError:
        assert not runs.exists()
    else:
        assert [entry.name for entry in runs.iterdir()] == [ID]
        shutil.rmtree(runs)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]


def test_a_failure_while_writing_leaves_nothing(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.zip")

    def full(*_: object) -> None:
        raise OSError(28, "")

    monkeypatch.setattr("mnistexp.runs.files.sync", full)
    with pytest.raises(RunError, match="the disk is full"):
        import_archive(path, runs)
    assert nothing_written(runs)


def test_leftovers_of_a_killed_import_are_removed_and_never_listed(runs: Path, tmp_path: Path) -> None:
    import_archive(pack(tmp_path / "a.zip"), runs)
    owner = replace(Owner.current(), started=1)
    (runs / ID).rename(runs / f".staging-{owner.boot}.{owner.pid}.{owner.started}.import.{ID}")
    clean_stale_staging(runs)
    assert nothing_written(runs)


def test_a_file_of_another_process_that_came_first_is_kept(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive([store(tmp_path / "theirs")], tmp_path / "a.zip")
    (run_id,) = (folder.name for folder in (tmp_path / "theirs").iterdir() if not folder.name.startswith("."))

    def first(unpacked: Path) -> Status:
        monkeypatch.undo()
        (runs / run_id).mkdir()
        write_status(runs / run_id, Status("train", "ours", "done", now(), Owner.current()))
        return read_record(unpacked)

    monkeypatch.setattr("mnistexp.runs.archive.read_record", first)
    assert import_archive(tmp_path / "a.zip", runs) == Imported((), (run_id,))
    assert [info.name for info in list_runs(runs)] == ["ours"]
    assert [entry.name for entry in runs.iterdir()] == [run_id]


# From the command line


def mnistexp(*arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of a command of `mnistexp runs`."""
    return answer("runs", *arguments)


def test_export_and_import_from_the_command_line(runs: Path, tmp_path: Path) -> None:
    first, second = store(runs, "a", accuracy=0.5), store(runs, "b\udcff", accuracy=0.9)
    here = ("--runs-dir", runs)
    code, out, _ = mnistexp("export", *here)
    assert (code, [row["id"] for row in csv.DictReader(io.StringIO(out))]) == (0, [second.name, first.name])
    assert len(json.loads(mnistexp("export", "latest", "--json", *here)[1])["runs"]) == 1
    assert mnistexp("export", "--format", "md", *here)[1].startswith("| id | command |")
    assert mnistexp("export", "--output", tmp_path / "t.json", *here)[0] == 0
    assert len(json.loads((tmp_path / "t.json").read_text())["runs"]) == 2
    code, out, _ = mnistexp("export", "--where", "accuracy>0.8", "-o", tmp_path / "a.zip", "--json", *here)
    assert json.loads(out) == {"output": str(tmp_path / "a.zip"), "format": "zip", "runs": [second.name]}
    there = ("--runs-dir", tmp_path / "there")
    assert mnistexp("import", tmp_path / "a.zip", *there)[1] == f"Imported  {second.name}\n"
    out = mnistexp("import", tmp_path / "a.zip", "--json", *there)[1]
    assert json.loads(out) == {"runs_dir": str(tmp_path / "there"), "imported": [], "skipped": [second.name]}
