"""`mnistexp serve`: who may ask, what can be had, and the page in a real browser."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from chromium import CONTRASTS, start
from programs import program
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from typer.testing import CliRunner

from mnistexp.cli.app import app
from mnistexp.errors import BadInput, MnistexpError
from mnistexp.live.server import Server
from mnistexp.runs.progress import leave_progress
from mnistexp.runs.run_folder import Run

ATTACK = "<script>window.hacked = 1</script>"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Served:
    """A server that answers in a thread, and the folder it shows."""

    running: Run
    """A training under way in that folder."""

    def __init__(self, server: Server, runs: Path) -> None:
        self.server, self.runs = server, runs
        self.token = urlsplit(server.url).query

    def ask(self, path: str, method: str = "GET", *, token: bool = True, **headers: str) -> Answer:
        """One request, its path sent as it is; `Host` may be given, and any other header with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        sent = {"Host": f"127.0.0.1:{self.server.port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        connection.putrequest(method, f"{path}?{self.token}" if token else path, skip_host=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return found


@pytest.fixture(scope="module")
def served(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    runs = tmp_path_factory.mktemp("served") / "runs"
    for kind in ("train", "sweep"):
        shutil.copytree(finished[kind], runs / finished[kind].name)
    with Run.create(runs, "train", "sgd-10", "", visible=True) as running:
        leave(running, 3)
        server = Server(runs)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            served = Served(server, runs)
            served.running = running
            assert served.ask("/").status == 200  # so it can be stopped
            yield served
        finally:
            server.stop()
            thread.join()


def leave(run: Run, epochs: int) -> None:
    rows = [(1 / epoch, epoch / 10, 2 / epoch, epoch / 20) for epoch in range(1, epochs + 1)]
    leave_progress(run.path, rows, [1.0] * epochs, repeat=0, repeats=1, epochs=10)


def test_the_token_opens_everything_and_leaves_a_cookie(served: Served) -> None:
    answer = served.ask("/")
    cookie = str(answer.headers["Set-Cookie"])
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    name = cookie.partition(";")[0]
    assert served.ask("/live.json", token=False, Cookie=name).status == 200
    assert served.ask("/live.json", token=False, Cookie=f"{name}x").status == 403


@pytest.mark.parametrize(
    "path", ["/", "/live.json", "/nothing", "/?token=", "/?token=wrong", "/?token=%C3%A9", "/?Token=x"]
)
def test_nobody_else_gets_in(path: str, served: Served) -> None:
    answer = served.ask(path, token=False)
    assert answer.status == 403
    assert b"mnistexp serve" in answer.body
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:9000"}, 200),  # through a tunnel
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "127.0.0.1@evil.example"}, 403),
        ({"Host": "0.0.0.0"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 200),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, 403),
    ],
)
def test_foreign_hosts_and_origins_are_refused(headers: dict[str, str], status: int, served: Served) -> None:
    answer = served.ask("/live.json", **headers)
    # An empty or malformed host may be refused earlier, as no request at all.
    assert answer.status == status or (status == 403 and answer.status == 400)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/live.json", "/nothing"])
def test_nothing_can_be_changed(method: str, path: str, served: Served) -> None:
    answer = served.ask(path, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_head_has_the_headers_alone(served: Served) -> None:
    for path in ("/", "/live.json"):
        head = served.ask(path, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["Content-Length"]) > 100


def test_every_answer_is_guarded(served: Served) -> None:
    run = next(path.name for path in served.runs.iterdir() if "-train-nesterov" in path.name)
    answers = [
        served.ask("/"),
        served.ask("/live.json"),
        served.ask(f"/runs/{run}/report"),
        served.ask(f"/runs/{run}/files/loss_curves.svg"),
        served.ask("/nothing"),
        served.ask("/", "POST"),
        served.ask("/", token=False),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404, 405, 403]
    for answer in answers:
        headers = answer.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers
        assert "Etag" not in headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy.get("script-src", "")
    for answer in answers[:3]:
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "sandbox" in answers[3].headers["Content-Security-Policy"]


def test_figures_curves_metrics_and_reports_are_served(served: Served, finished: dict[str, Path]) -> None:
    folder = finished["train"]
    for name, kind in {
        "history.csv": "text/csv; charset=utf-8",
        "metrics.json": "application/json",
        "config.yaml": "text/plain; charset=utf-8",
        "loss_curves.png": "image/png",
        "loss_curves.svg": "image/svg+xml",
    }.items():
        answer = served.ask(f"/runs/{folder.name}/files/{name}")
        assert answer.headers["Content-Type"] == kind
        assert answer.body == (folder / name).read_bytes()
    report = served.ask(f"/runs/{folder.name}/report")
    assert report.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert b"<h1>" in report.body
    assert not (served.runs / folder.name / "report.html").exists()
    ended = json.loads(served.ask("/live.json").body)["ended"]
    assert "history.csv" in next(run["files"] for run in ended if run["id"] == folder.name)


def test_no_other_path_is_served(served: Served, finished: dict[str, Path], tmp_path: Path) -> None:
    run = served.runs / finished["train"].name
    outside = tmp_path / "outside"
    shutil.copytree(finished["sweep"], outside)
    (run / "secret.svg").symlink_to(outside / "metrics.json")
    (run / "trials.csv").symlink_to(outside / "trials.csv")
    (run / ".hidden.svg").write_text("<svg/>")
    (run / "sub").mkdir(exist_ok=True)
    (run / "sub" / "history.csv").write_text("hidden")
    (served.runs / "linked").symlink_to(outside, target_is_directory=True)
    (served.runs / ".trash").mkdir(exist_ok=True)
    shutil.copytree(finished["train"], served.runs / ".trash" / "gone")
    (served.runs / "metrics.json").write_text("{}")
    base = f"/runs/{run.name}"
    paths = [
        f"{base}/files/{name}"
        for name in (
            "secret.svg", "trials.csv", ".hidden.svg", ".lock", "sub", "sub/history.csv", "sub%2Fhistory.csv",
            "status.json", "model.keras", "run.log", "code.patch", "environment.json", "report.html", "", ".", "..",
            "%2e%2e%2fmetrics.json", "..%5cmetrics.json", "history.csv%00", "history.csv%00.svg", "HISTORY.CSV",
            "history.csv/", "%252e%252e%252fmetrics.json", "history.csv%20",
        )
    ]  # fmt: skip
    paths += [
        base, f"{base}/", "/runs", "/runs/", "/runs/linked/report", "/runs/linked/files/metrics.json",
        "/runs/.trash/files/history.csv", "/runs/.trash%2Fgone/files/history.csv", "/runs/./files/metrics.json",
        "/runs/../files/metrics.json", "/runs/%2e%2e/files/metrics.json", "/runs/%2e/files/metrics.json",
        f"/runs/{quote(str(outside), safe='')}/files/metrics.json", f"{base}/../../metrics.json",
        f"//runs/{run.name}/report", "/etc/passwd", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "/runs/latest/report", f"/runs/{run.name[:-1]}/report", "/live.json/", "/static/live.js",
    ]  # fmt: skip
    answers = {path: served.ask(path).status for path in paths}
    assert {path: status for path, status in answers.items() if status != 404} == {}
    assert served.ask("/runs/%ff/report").status == 400


def test_a_malformed_request_does_no_harm(served: Served) -> None:
    for sent in (
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", served.server.port)) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert b" 200 " not in connection.recv(4096)
    large = served.ask("/live.json", Content_Length="100000000")
    assert large.status == 400
    assert served.ask("/live.json").status == 200


def test_a_missing_runs_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    server = Server(tmp_path / "runs")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        served = Served(server, tmp_path / "runs")
        assert json.loads(served.ask("/live.json").body)["ended"] == []
        (tmp_path / "runs").rmdir()
        (tmp_path / "runs").write_text("")
        answer = served.ask("/live.json")
        assert answer.status == 500
        assert answer.body.decode().endswith("runs: a file is where a folder should be\n")
        assert served.ask("/runs/x/report").status == 404
    finally:
        server.stop()
        thread.join()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser in which time passes ten times as fast: the page looks for news every second."""
    driver = start(tmp_path_factory.mktemp("profile"))
    sooner = "{ const later = setTimeout; window.setTimeout = (call, time) => later(call, time / 10); }"
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": sooner})
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(driver: webdriver.Chrome, served: Served) -> webdriver.Chrome:
    show(driver, served)
    return driver


def show(driver: webdriver.Chrome, served: Served, *, width: int = 1100, theme: str = "light") -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    preferred = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in preferred.items()]
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get(served.server.url)
    until(driver, lambda: words(driver).startswith("epoch ") and texts(driver, "#ended tr"))


def until(driver: webdriver.Chrome, condition: Any) -> None:
    WebDriverWait(driver, 3600, poll_frequency=0.05).until(lambda _: condition())


def texts(driver: webdriver.Chrome, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
    found: list[str] = driver.execute_script(script, selector)
    return found


def words(driver: webdriver.Chrome) -> str:
    return next(iter(texts(driver, "#running .run > p")), "")


def lengths(driver: webdriver.Chrome) -> list[int]:
    """The number of points of each curve in the first figure, read at once: the page may draw the curves anew."""
    curves = "[...document.querySelector('#running svg').querySelectorAll('polyline')]"
    found: list[int] = driver.execute_script(f"return {curves}.map((each) => each.points.length)")
    return found


def test_the_page_shows_progress_as_it_is_made(page: webdriver.Chrome, served: Served) -> None:
    leave(served.running, 4)
    until(page, lambda: words(page).startswith("epoch 4/10, training loss 0.2500, validation loss 0.5000"))
    (svg, _) = page.find_elements(By.CSS_SELECTOR, "#running svg")
    assert lengths(page) == [4, 4]
    card = page.find_element(By.CSS_SELECTOR, ".run")
    leave(served.running, 5)
    until(page, lambda: words(page).startswith("epoch 5/10"))
    assert lengths(page) == [5, 5]
    assert svg.get_attribute("aria-label") == "Loss over epochs up to 5: training 0.2000, validation 0.4000 at the end"
    bar = card.find_element(By.CSS_SELECTOR, "progress")  # the card is still the same element
    assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("5", "10")
    assert page.get_log("browser") == []


def test_the_token_leaves_the_address_and_nothing_leaves_the_server(page: webdriver.Chrome, served: Served) -> None:
    assert page.current_url == f"http://127.0.0.1:{served.server.port}/"
    page.refresh()
    until(page, lambda: words(page).startswith("epoch "))
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    base = f"http://127.0.0.1:{served.server.port}/"
    assert {url for url in asked if not url.startswith("data:")} == {served.server.url, base, f"{base}live.json"}
    assert page.get_log("browser") == []
    assert page.execute_script("return document.cookie") == ""


def test_a_link_leads_to_the_report(page: webdriver.Chrome, finished: dict[str, Path]) -> None:
    page.find_element(By.LINK_TEXT, finished["train"].name).click()
    until(page, lambda: texts(page, "figure svg"))
    assert page.current_url.endswith(f"/runs/{finished['train'].name}/report")
    button = page.find_element(By.ID, "theme")  # its script may run
    assert button.text == "Dark"
    page.back()
    until(page, lambda: words(page).startswith("epoch "))
    assert page.get_log("browser") == []


def test_the_page_shows_a_run_that_starts_and_ends_and_escapes_its_markup(
    page: webdriver.Chrome, served: Served
) -> None:
    with Run.create(served.runs, "sweep-dropout", "x", "", visible=True) as run:
        until(page, lambda: run.id in texts(page, "#running h3"))
        fit = {"trial": 0, "params": {f"model.{ATTACK}": ATTACK}, "score": 0.5, "error": None, "cached": False}
        run.add("trials/00000-0-0.json", fit)
        until(page, lambda: "fit 1/3" in texts(page, "#running .run > p"))
        run.fail(MnistexpError(ATTACK))
    folder = served.runs / ATTACK.replace("/", "")
    shutil.copytree(run.path, folder)
    until(page, lambda: folder.name in texts(page, "#ended th"))
    assert run.id not in texts(page, "#running h3")
    assert [run.id, "failed", ATTACK] in [row[:3] for row in rows(page)]
    assert page.execute_script("return window.hacked ?? null") is None
    page.find_element(By.LINK_TEXT, folder.name).click()
    until(page, lambda: page.current_url.endswith("/report"))
    assert page.execute_script("return window.hacked ?? null") is None
    shutil.rmtree(folder)
    shutil.rmtree(run.path)


def rows(page: webdriver.Chrome) -> list[list[str]]:
    texts = "(row) => [...row.cells].map((cell) => cell.textContent)"
    script = f"return [...document.querySelectorAll('#ended tr')].map({texts})"
    found: list[list[str]] = page.execute_script(script)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_enough_contrast_and_fits_a_phone(theme: str, driver: webdriver.Chrome, served: Served) -> None:
    show(driver, served, width=360, theme=theme)
    contrasts = driver.execute_script(CONTRASTS)
    assert len(contrasts) > 30
    assert [text for contrast, text in contrasts if contrast < 4.5] == []
    assert driver.execute_script("return document.documentElement.scrollWidth") == 360


def test_the_page_is_built_for_screen_readers(page: webdriver.Chrome) -> None:
    levels = page.execute_script("return [...document.querySelectorAll('h1, h2, h3')].map((h) => +h.tagName[1])")
    assert levels == [1, 2, 3, 2]
    assert page.find_elements(By.CSS_SELECTOR, "svg:not([role=img][aria-label])") == []
    assert all(bar.accessible_name for bar in page.find_elements(By.CSS_SELECTOR, "progress"))
    assert page.find_elements(By.CSS_SELECTOR, "th:not([scope])") == []
    assert page.find_element(By.ID, "connection").get_attribute("role") == "status"
    assert len(page.find_elements(By.CSS_SELECTOR, "table > caption")) == 1


def test_the_page_says_when_it_is_not_up_to_date(page: webdriver.Chrome, served: Served) -> None:
    page.delete_all_cookies()
    until(page, lambda: texts(page, "#connection")[0].startswith("Not up to date: 403 Open the address"))
    page.get(served.server.url)
    until(page, lambda: texts(page, "#connection") == ["Updated every second."])


def test_a_port_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MnistexpError, match=f"127.0.0.1:{port}: another program uses this port") as caught:
            Server(tmp_path, port)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_an_invalid_port_is_refused(port: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["serve", "--port", port, "--runs-dir", str(tmp_path)])
    assert isinstance(done.exception, BadInput)
    assert str(done.exception) == f"--port is {port}, allowed: 0 <= value <= 65535"


@pytest.mark.parametrize("started", [[], ["sh", "-c", "trap '' INT; exec \"$@\"", "&"]], ids=["", "by a script's &"])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_and_ends_at_ctrl_c(
    sign: signal.Signals, started: list[str], tmp_path: Path
) -> None:
    command = [*started, *program("serve", "--json", "--runs-dir", tmp_path / "none")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        text = ""
        while not text.endswith("}\n"):
            text += process.stdout.readline()
        url = urlsplit(json.loads(text)["url"])
        connection = http.client.HTTPConnection(url.netloc)
        connection.request("GET", f"/live.json?{url.query}")
        answer = connection.getresponse()
        assert json.loads(answer.read())["running"] == []
        process.send_signal(sign)  # with a connection still open
        assert process.stderr.read() == "Press Ctrl-C to stop.\n"
        connection.close()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
