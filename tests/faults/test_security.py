"""Untrusted data is shown and never executed: code, markup, terminal escapes, paths, foreign pages."""

import ast
import importlib.metadata
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from strategies import fuzz

import mnistexp
from mnistexp.errors import MnistexpError
from mnistexp.live.server import Server
from mnistexp.report import reports
from mnistexp.runs import standard_error, stored_runs
from mnistexp.runs.archive import import_archive
from mnistexp.runs.run_folder import Run

PACKAGE = Path(mnistexp.__file__).parent
SCRIPT = "</script></title><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
ESCAPES = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b31m\r\x08\u202e"
CODE = {"eval", "exec", "compile", "__import__"}
LOADERS = {("yaml", "load"), ("yaml", "load_all"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("os", "system")}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "xmlrpc", "telnetlib"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def dotted(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Attribute):
        return (*dotted(node.value), node.attr)
    return (node.id,) if isinstance(node, ast.Name) else ("",)


def test_no_code_from_data(tried: Callable[..., None]) -> None:
    """Nothing runs text or unpickles; numpy and Keras load in their safe modes, programs start without a shell."""
    found, looked = [], 0
    for place, call in calls():
        looked += 1
        name, given = dotted(call.func), {word.arg: word.value for word in call.keywords}
        safe = {"allow_pickle": False, "safe_mode": True, "shell": False}
        found += [
            (place, word)
            for word, value in given.items()
            if word in safe and getattr(value, "value", None) is not safe[word]
        ]
        literal = bool(call.args) and isinstance(call.args[0], ast.Constant)  # the package's own text
        runs_text = len(name) == 1 and name[0] in CODE and not literal
        found += [(place, name[-1])] if runs_text or name[-2:] in LOADERS else []
        if name[-2:] in (("np", "load"), ("format", "read_array")) and "allow_pickle" not in given:
            found.append((place, "numpy's own default"))
        if name[-1] == "load_model" and name[0] == "keras" and "safe_mode" not in given:
            found.append((place, "Keras' own default"))
        if name[-1] == "extractall":
            found.append((place, "extractall"))
    assert found == []
    tried("calls in the package searched for loaders that run code", looked)


def test_no_module_that_unpickles() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & MODULES, path


def test_yaml_is_read_by_safe_loaders_alone() -> None:
    import yaml

    from mnistexp.config import yaml_source

    for loader in (yaml_source._Loader, yaml_source._FastLoader):
        known = {kind for each in loader.__mro__ for kind in getattr(each, "yaml_constructors", {})}
        assert not any("python" in str(kind) for kind in known)
        assert not issubclass(loader, yaml.FullLoader | yaml.UnsafeLoader)
        assert not any("python" in str(kind) for kind in getattr(loader, "yaml_multi_constructors", {}))


# Names

PATHS = st.text(st.sampled_from("a.:/\\ \0\n~C\u00e9\u2025\x1b|<"), max_size=12) | st.sampled_from(
    [
        "../up",
        "/etc/passwd",
        "a/../../up",
        "..",
        ".",
        "C:\\up",
        "\\\\host\\share",
        "a/./b",
        "a//b",
        "con",
        "a\0b",
        "~/up",
    ]
)
ID = "20261124T080000Z-train-sgd-1-1a2b"


def archived(path: Path, members: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            member = zipfile.ZipInfo("x")
            member.filename = member.orig_filename = name  # as it is, which the library wouldn't write
            archive.writestr(member, text)


def test_nothing_leaves_the_folder_of_runs(tmp_path: Path, tried: Callable[..., None]) -> None:
    """Names of archive members, of runs, and of the files of runs, in a folder that holds nothing else."""
    outer = tmp_path / "outer"
    outer.mkdir()
    runs, path = outer / "runs", tmp_path / "a.zip"

    def members(name: str) -> None:
        for full in (name or "x", f"{ID}/{name}", f"{ID}/../../{name}"):
            archived(path, {full: "x", f"{ID}/status.json": "{}"})
            with pytest.raises(MnistexpError):
                import_archive(path, runs)
            assert list(outer.iterdir()) == []
            assert {entry.name for entry in tmp_path.iterdir()} == {"outer", "a.zip", "mine"}
        raise MnistexpError("all three refused")

    def run_names(name: str) -> None:
        try:
            Run.create(runs, "train", name, "seed: 1\n").finish()
        finally:
            inside = [entry for entry in outer.rglob("*") if entry.name not in ("runs", ".cache")]
            assert {entry.name for entry in outer.iterdir()} <= {"runs"}
            assert all(re.fullmatch(r"[\w.-]+", entry.name) for entry in inside)
            shutil.rmtree(runs, ignore_errors=True)

    with Run.create(tmp_path / "mine", "train", "x", "seed: 1\n") as run:

        def file_names(name: str) -> None:
            try:
                run.add(name, "x")
            finally:
                assert {entry.name for entry in tmp_path.iterdir()} <= {"outer", "a.zip", "mine"}
                assert len(list((tmp_path / "mine").iterdir())) == 1

        for what, check, full in (
            ("members of archives", members, 3_000),
            ("names of runs", run_names, 300),
            ("files of runs", file_names, 1_000),
        ):
            count, refused = fuzz(PATHS, check, full)
            tried(f"hostile names: {what}", count, f"nothing outside; {refused:,} refused")
        run.discard()


def test_links_in_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo(f"{ID}/model.keras")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr(f"{ID}/status.json", "{}")
    with pytest.raises(MnistexpError, match="link"):
        import_archive(path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


# Markup


def marked(folder: Path, text: str) -> Path:
    """The run with `text` in all the values that a page may show."""
    edited: dict[str, dict[str, Any]] = {
        "metrics.json": {"warnings": [text], text: text},
        "data.json": {"source": text},
        "environment.json": {"cpu": text, "python": text, "git_commit": text, "packages": {"numpy": text}},
        "status.json": {"name": text, "error": text, "status": "failed"},
    }
    for name, values in edited.items():
        if not (folder / name).exists():
            continue
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | values))
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + f"\n# {text}\n")
    note = {"schema_version": 1, "tags": [], "note": text.translate(dict.fromkeys(range(32)))}
    (folder / "annotations.json").write_text(json.dumps(note))
    return folder


@pytest.fixture
def attacked(finished: dict[str, Path], tmp_path: Path) -> Path:
    source = finished["train"]
    return marked(Path(shutil.copytree(source, tmp_path / "runs" / source.name)), SCRIPT)


def test_markup_is_text_in_every_report(attacked: Path, tmp_path: Path) -> None:
    run = stored_runs.load(attacked)
    html = reports.write_report([run], output=tmp_path / "r.html").read_text()
    assert "<script>window" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;window.hacked = 1&lt;/script&gt;" in html


def test_markup_does_nothing_in_a_browser(attacked: Path, tmp_path: Path, tried: Callable[..., None]) -> None:
    from chromium import start

    report = reports.write_report([stored_runs.load(attacked)], output=tmp_path / "r.html")
    driver = start(tmp_path / "profile")
    try:
        with serving(attacked.parent) as server:
            for name, url in (("report", report.as_uri()), ("page of serve", server.url)):
                driver.get(url)
                text = "return document.body.textContent.includes('window.hacked = 1')"
                for _ in range(100):
                    if driver.execute_script(text):
                        break
                    driver.execute_async_script("setTimeout(arguments[0], 50)")
                assert driver.execute_script(text), name
                assert driver.execute_script("return window.hacked ?? null") is None
                assert driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
                tried(f"markup in all values of a run, in Chromium: {name}", 1, "shown as text, not run")
    finally:
        driver.quit()


# Terminal escapes


COMMANDS = [
    ["runs", "list"],
    ["runs", "list", "--where", "error~r", "--sort", "note"],
    ["runs", "show", "latest"],
    ["runs", "compare", "1", "2"],
    ["runs", "note", "1"],
    ["runs", "tag"],
    ["runs", "best"],
    ["runs", "path"],
    ["runs", "export"],
    ["runs", "export", "--format", "md"],
    ["report", "latest", "--format", "md"],
    ["verify", "latest", "--quick"],
    ["predict", "x\x1b[31m.png"],
    ["watch", "--once"],
    ["train", "--config", "hostile.yaml"],
    ["train", "--set", f"{ESCAPES}=1"],
    ["train", "--name", ESCAPES],
    ["runs", "show", ESCAPES],
    ["runs", "import", "hostile.zip"],
    [ESCAPES],
]


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_no_escape_reaches_the_terminal(
    terminal: bool,
    finished: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tried: Callable[..., None],
) -> None:
    from mnistexp.cli.app import main

    monkeypatch.chdir(tmp_path)
    for kind in ("train", "summary"):
        marked(Path(shutil.copytree(finished[kind], tmp_path / "runs" / finished[kind].name)), ESCAPES)
    (tmp_path / "hostile.yaml").write_text(json.dumps({ESCAPES: ESCAPES, "training": {ESCAPES: 1, "epochs": ESCAPES}}))
    archived(tmp_path / "hostile.zip", {f"{ID}/{ESCAPES}": "x", f"{ID}/status.json": json.dumps({"status": ESCAPES})})
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("TERM", "dumb")  # so that rich has no escapes of its own
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    # On a pipe a table is data for another program, which gets it as it is.
    chosen = [arguments for arguments in COMMANDS if terminal or "export" not in arguments]
    for arguments in chosen:
        monkeypatch.setattr(sys, "argv", ["mnistexp", *arguments])
        with pytest.raises(SystemExit):
            main()
        standard_error.give_back()
        printed = "".join(capsys.readouterr())
        assert printed, arguments
        assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", printed), (arguments, printed)
    tried("commands with terminal escapes in all values of runs, files and options", len(chosen), "none printed raw")


# The local server


@contextmanager
def serving(runs: Path) -> Iterator[Server]:
    server = Server(runs)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        ask(server, "/", "127.0.0.1")  # so it can be stopped
        yield server
    finally:
        server.stop()
        thread.join()


def ask(server: Server, path: str, host: str, **headers: str) -> tuple[int, bytes]:
    """The status and the body of an answer, over a bare socket: no client cleans the path."""
    token = server.url.partition("?")[2]
    lines = [f"GET {path}?{token} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:80",
    "[::1]",
    "0.0.0.0",
    "10.0.0.1",
    "127.0.0.2",
    "x@127.0.0.1",
    "",
]
UP = ["..", "%2e%2e", "%2E%2E%2F", "..%2f", "..%5c", "..\\", "%252e%252e", "....//", "%c0%ae%c0%ae", ".%00.", "/", "//"]


def test_the_server_answers_its_hosts_and_serves_its_folder_only(
    finished: dict[str, Path], tmp_path: Path, tried: Callable[..., None]
) -> None:
    run = Path(shutil.copytree(finished["train"], tmp_path / "runs" / finished["train"].name))
    (tmp_path / "secret.json").write_text("planted secret")
    (tmp_path / "runs" / "secret.json").write_text("planted secret")
    (run / "secret.json").write_text("planted secret")
    (run / ".hidden.png").write_text("planted secret")
    (run / "linked.png").symlink_to(tmp_path / "secret.json")
    (tmp_path / "runs" / f"{run.name}x").symlink_to(tmp_path)
    names = ["secret.json", ".hidden.png", "linked.png", "status.json", "model.keras", "/etc/passwd", "etc/passwd"]
    count = 0

    def outside(path: str) -> None:
        nonlocal count
        count += 1
        status, body = ask(server, path, "127.0.0.1")
        assert b"planted" not in body
        assert b"root:" not in body
        assert status != 200, path

    with serving(tmp_path / "runs") as server:
        assert ask(server, f"/runs/{run.name}/files/metrics.json", "localhost")[0] == 200
        for host in HOSTS:
            assert ask(server, "/live.json", host)[0] in (400, 403), host
        assert ask(server, "/live.json", "127.0.0.1", Origin="http://evil.example")[0] == 403
        for name in names:
            for up in UP:
                for path in (f"/{up}/{name}", f"/runs/{up}/files/{name}", f"/runs/{run.name}/files/{up}/{name}"):
                    outside(path)
                outside(f"/runs/{run.name}/files/{up}{name}")
            outside(f"/runs/{run.name}/files/{name}")
            outside(f"/runs/{run.name}x/files/{name}")
        characters = st.text(st.sampled_from("./%25eEfFcC0\\;?#a"), max_size=30)
        generated, _ = fuzz(characters, lambda text: outside(f"/runs/{run.name}/files/x{text}"), 1_000)
    tried("requests with a foreign Host or Origin", len(HOSTS) + 1, "refused")
    tried("requests for what lies outside, is hidden, is a link or isn't listed", count, "refused")
    assert generated


# What is stored of the machine


def test_environments_hold_no_secret(tmp_path: Path, tried: Callable[..., None]) -> None:
    code = "from pathlib import Path\nfrom mnistexp.runs.run_folder import Run\n"
    code += "Run.create(Path('runs'), 'train', 'x', '').finish()"
    planted = {
        name: f"planted-{name}"
        for name in (
            "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "OPENAI_API_KEY", "HOME", "USER", "LOGNAME", "HOSTNAME", "MAIL",
            "SSH_AUTH_SOCK", "PIP_INDEX_URL", "DATABASE_URL", "MNISTEXP_TOKEN", "TF_SECRET", "XLA_SECRET", "OMP_SECRET",
        )
    }  # fmt: skip
    odd = {"XLA_FLAGS": "--xla_dump_to=/home/planted-flag", "CUDA_VISIBLE_DEVICES": "0"}
    path = {"PYTHONPATH": str(PACKAGE.parent), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=planted | odd | path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").glob("2*")
    found = json.loads((folder / "environment.json").read_text())
    assert found["variables"] == {"CUDA_VISIBLE_DEVICES": "0", "XLA_FLAGS": "set, not stored"}
    text = "".join(file.read_text() for file in folder.iterdir() if file.name != "code.patch")
    for unwanted in ("planted", str(tmp_path), platform.node()):
        assert unwanted not in text
    tried("secrets, names and folders planted in the environment", len(planted) + 1, "none stored")


VULNERABLE = "jinja2==2.4.1"
"""For years on every list: where this isn't reported, the tool has no list to look at."""


def test_known_vulnerabilities_are_looked_up_where_possible(tmp_path: Path, tried: Callable[..., None]) -> None:
    """pip-audit asks a service on the network; without it nothing was checked, and this test says so."""
    tool = shutil.which("pip-audit")
    if not tool:
        pytest.skip("pip-audit isn't installed: dependencies were not checked for known vulnerabilities")
    installed = {
        each.name.lower(): each.version for each in importlib.metadata.distributions() if each.name != "mnistexp"
    }
    (tmp_path / "installed.txt").write_text("".join(f"{name}=={version}\n" for name, version in installed.items()))
    (tmp_path / "vulnerable.txt").write_text(f"{VULNERABLE}\n")
    if not audit(tool, tmp_path / "vulnerable.txt"):
        pytest.skip("pip-audit can't ask its service: dependencies were not checked for known vulnerabilities")
    found = audit(tool, tmp_path / "installed.txt")
    tried("dependencies looked up by pip-audit", len(installed), f"{len(found)} with known vulnerabilities")
    assert found == []


def audit(tool: str, requirements: Path) -> list[str]:
    """The packages with known vulnerabilities, as far as the tool can tell."""
    command = [tool, "--requirement", str(requirements), "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    answer = json.loads(done.stdout) if done.stdout.startswith("{") else {"dependencies": []}
    return [each["name"] for each in answer["dependencies"] if each.get("vulns")]
