"""Every page, picture and terminal screen as PNG files in one folder, for looking at: `make gallery`.

    python tools/gallery.py FOLDER

Real runs of small size are made once, in FOLDER/runs; delete them to have new ones. Needs Chromium and chromedriver.
"""

import base64
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme
from rich.text import Text
from selenium import webdriver

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from chromium import start
from programs import on_terminal, program

SMALL = ["--set", "training.epochs=4", "--set", "sweep.folds=3", "--set", "sweep.executor=serial"]
GRID = ["--grid", "learning_rate=0.001,0.01,1", "--grid", "beta_1=0.5,0.9"]
SWEEPS = ["--sweep", "adam", "--sweep", "nadam", "--sweep", "dropout"]
RUNS = {
    "train": ["train", "--epochs", "30"],
    "repeats": ["train", "--epochs", "20", "--repeats", "3", "--opt", "adam", "--validation-fraction", "0.2"],
    "adam": ["sweep-optimizer", "--opt", "adam", *GRID, *SMALL],
    "nadam": ["sweep-optimizer", "--opt", "nadam", *GRID, *SMALL],
    "dropout": ["sweep-dropout", *SMALL],
    "best": ["best", "--unseen", *SWEEPS, "--epochs", "12"],
    "quick": ["reproduce", "--quick"],
    "evaluate": ["evaluate", "train", "--data", "unseen"],
    "digits": ["show-examples"],
    "cnn": ["summary"],
}
SCREENS = {
    **{f"after-{name}": command for name, command in RUNS.items() if name in ("digits", "cnn")},
    "list": ["runs", "list"],
    "show": ["runs", "show", "train"],
    "compare": ["runs", "compare", "train", "repeats"],
    "groups": ["runs", "list", "--group"],
    "dry-run": ["sweep-optimizer", "--opt", "adam", "--dry-run"],
    "best-dry-run": ["best", "--dry-run"],
    "help": ["--help"],
    "train-help": ["train", "--help"],
}
THEMES: dict[str, TerminalTheme] = {"light": DEFAULT_TERMINAL_THEME, "dark": MONOKAI}


def main(folder: Path) -> None:
    """Make what is missing of the runs, then all screenshots."""
    runs, screens = folder / "runs", folder / "terminal"
    screens.mkdir(parents=True, exist_ok=True)
    for name, command in RUNS.items():
        if not list(runs.glob(f"*-{name}-????")):
            finished = terminal([*command, "--name", name][: None if _named(command) else -2], runs, 80)
            (screens / f"after-{name}.80.ansi").write_bytes(finished)
    for name, command in SCREENS.items():
        for width in (80, 140):
            (screens / f"{name}.{width}.ansi").write_bytes(terminal(command, runs, width))
    with tempfile.TemporaryDirectory() as profile:
        browser = start(Path(profile))
        try:
            for path in [*draw_screens(screens), *draw_pages(runs, folder / "pages", browser)]:
                print(path)
        finally:
            browser.quit()
    for run in runs.glob("[!.]*"):
        for figure in run.glob("*.png"):
            (folder / "figures").mkdir(exist_ok=True)
            shutil.copy(figure, folder / "figures" / f"{run.name.split('-', 1)[1]}-{figure.name}")


def _named(command: list[str]) -> bool:
    return command[0] not in ("show-examples", "summary", "reproduce")


def terminal(command: list[str], runs: Path, width: int) -> bytes:
    """What a command writes to a terminal of some width, without what it overwrites."""
    place = {"MNISTEXP_RUNS_DIR": str(runs), "COLUMNS": str(width), "TERM": "xterm-256color"}
    code, said = on_terminal(program(*command), width, os.environ | place)
    if code not in (0, 3):
        sys.exit(f"{' '.join(command)} ended with {code}: {said.decode()}")
    erased = re.sub(rb"[^\n]*\r\x1b\[2K|\x1b\[\?25[lh]", b"", said)
    return re.sub(rb"[^\n]*\n\x1b\[1A\x1b\[2K", b"", erased)


def draw_screens(screens: Path) -> Iterator[Path]:
    """Each terminal screen as SVG, on light and on dark ground."""
    for path in sorted(screens.glob("*.ansi")):
        lines = path.read_text("utf-8", "replace").replace("\r\n", "\n").split("\n")
        lines = [line.rpartition("\r")[2] for line in lines]
        width = int(path.suffixes[-2][1:])
        for name, theme in THEMES.items():
            console = Console(
                record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
            )
            console.print(Text.from_ansi("\n".join(lines[:120])), soft_wrap=True)
            target = path.with_suffix(f".{name}.svg")
            console.save_svg(str(target), title=path.stem, theme=theme)
            yield target


def draw_pages(runs: Path, pages: Path, browser: webdriver.Chrome) -> Iterator[Path]:
    """Each report on a desktop, on a phone, in the dark, and printed; and the terminal's SVGs as PNG."""
    from mnistexp.report import reports
    from mnistexp.runs import stored_runs

    pages.mkdir(exist_ok=True)
    stored = {path.name.split("-", 1)[1]: stored_runs.load(path) for path in sorted(runs.glob("[!.]*-????"))}
    kept = {name: run for name, run in stored.items() if run.part_of is None}
    several = [run for run in kept.values() if run.command == "train"]
    for name, chosen in {**{name: [run] for name, run in kept.items()}, "several": several}.items():
        page = reports.write_report(chosen, "html", pages / f"{name}.html")
        reports.write_report(chosen, "md", pages / f"{name}.md")
        for view, (width, theme, media) in {
            "desktop": (1100, "light", "screen"),
            "phone": (390, "light", "screen"),
            "dark": (1100, "dark", "screen"),
            "print": (800, "light", "print"),
        }.items():
            yield screenshot(browser, page, pages / f"{name}.{view}.png", width, theme, media)
    for drawn in sorted((pages.parent / "terminal").glob("*.svg")):
        across, down = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn.read_text("utf-8"))[0])
        wanted = 1600 if ".140." in drawn.name else 1000
        yield screenshot(browser, drawn, drawn.with_suffix(".png"), wanted, height=round(down * wanted / across))


def screenshot(
    browser: webdriver.Chrome,
    page: Path,
    target: Path,
    width: int,
    theme: str = "light",
    media: str = "screen",
    height: int = 900,
) -> Path:
    """The whole page as one PNG."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.get(page.absolute().as_uri())
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, **_whole(browser)})
    target.write_bytes(base64.b64decode(taken["data"]))
    return target


def _whole(browser: webdriver.Chrome) -> dict[str, dict[str, float]]:
    content = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    return {"clip": {"x": 0, "y": 0, "width": content["width"], "height": min(content["height"], 16000), "scale": 1}}


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/gallery"))
