"""Reports in a real browser: readable in light and dark and on a phone, sorted and read by mouse and keyboard alike."""

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chromium import CONTRASTS, start
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from mnistexp.report import reports
from mnistexp.runs import stored_runs

KINDS = ("train", "repeats", "sweep", "best", "show-examples", "summary", "all")


class Browser:
    """Chromium, opening reports by the kind of their run."""

    def __init__(self, driver: webdriver.Chrome, pages: dict[str, Path]) -> None:
        self.driver, self.pages = driver, pages

    def open(self, kind: str, *, width: int = 1100, theme: str = "light", media: str = "screen") -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        preferred = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in preferred.items()]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(self.pages[kind].as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def figure(self, title: str) -> WebElement:
        return next(each for each in self.all("figure") if each.text.startswith(title))


@pytest.fixture(scope="session")
def browser(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("pages")
    runs = {kind: stored_runs.load(path) for kind, path in finished.items()}
    pages = {kind: reports.write_report([run], output=folder / f"{kind}.html") for kind, run in runs.items()}
    pages["all"] = reports.write_report(list(runs.values()), output=folder / "all.html")
    driver = start(tmp_path_factory.mktemp("profile"))
    try:
        yield Browser(driver, pages)
    finally:
        driver.quit()


@pytest.mark.parametrize("kind", KINDS)
def test_the_console_is_quiet_and_nothing_leaves_the_page(browser: Browser, kind: str) -> None:
    browser.open(kind)
    assert browser.driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [browser.pages[kind].as_uri()]
    assert browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wider_than_a_phone(browser: Browser, kind: str) -> None:
    browser.open(kind, width=360)
    assert browser.run("return document.documentElement.scrollWidth") == 360
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true")
    assert browser.run("return document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_text_has_enough_contrast(browser: Browser, kind: str, theme: str) -> None:
    browser.open(kind, theme=theme)
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) > 40
    assert [text for contrast, text in contrasts if contrast < 4.5] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_built_for_screen_readers(browser: Browser, kind: str) -> None:
    browser.open(kind)
    assert browser.run("return document.documentElement.lang") == "en"
    levels = browser.run("return [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((h) => +h.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(lower - upper <= 1 for upper, lower in pairwise(levels))
    for landmark in ("header", "main", "footer"):
        assert len(browser.all(f"body > {landmark}")) == 1
    assert browser.run("return [...document.querySelectorAll('nav')].every((nav) => nav.ariaLabel)")
    assert len(browser.all("svg")) == len(browser.all("figure svg[role=img][aria-label]:not([aria-label=''])"))
    assert all(image.get_attribute("alt") for image in browser.all("img"))
    assert all(button.accessible_name for button in browser.all("button") if button.is_displayed())
    assert len(browser.all("table")) == len(browser.all("table > caption:not(:empty)"))
    assert browser.all("th:not([scope])") == []
    assert browser.all("figure:not(:has(> figcaption))") == []
    assert browser.run(
        "const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);"
        "return ids.length === new Set(ids).size"
    )


def test_the_first_tab_stop_leads_to_the_content(browser: Browser) -> None:
    browser.open("train")
    ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    focused = browser.driver.switch_to.active_element
    assert focused.text == "Skip to content"
    assert browser.run("return getComputedStyle(arguments[0]).outlineStyle", focused) == "solid"
    assert browser.run("return arguments[0].getBoundingClientRect().left >= 0", focused)


def test_the_button_switches_light_and_dark(browser: Browser) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    label = "return document.querySelector('svg text').computedStyleMap().get('fill').toString()"
    browser.open("train", theme="dark")
    dark = browser.run(paper), browser.run(label)
    (button,) = browser.all("#theme")
    assert button.text == "Light"
    button.click()
    light = browser.run(paper), browser.run(label)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(25, 25, 25)"
    assert light[1] != dark[1]
    assert button.text == "Dark"
    button.send_keys(Keys.ENTER)
    assert (browser.run(paper), browser.run(label)) == dark


def test_print_is_on_white_paper_without_controls(browser: Browser) -> None:
    browser.open("train", theme="dark", media="print")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = [each for selector in ("#theme", "nav", ".readout") for each in browser.all(selector)]
    assert len(hidden) > 3
    assert not any(each.is_displayed() for each in hidden)


def column(table: WebElement, place: int) -> list[str]:
    return [cell.text for cell in table.find_elements(By.CSS_SELECTOR, f"tbody tr > :nth-child({place})")]


def test_tables_sort_by_click_and_by_key(browser: Browser) -> None:
    browser.open("sweep")
    table = next(each for each in browser.all("table.sortable") if each.text.startswith("All trials"))
    headings = table.find_elements(By.CSS_SELECTOR, "thead th")
    names = [heading.text for heading in headings]
    place = names.index("accuracy")
    button = headings[place].find_element(By.TAG_NAME, "button")
    by_number = sorted(column(table, place + 1), key=lambda text: float(text.rstrip("%")))
    button.click()
    assert column(table, place + 1) == by_number
    assert [heading.get_attribute("aria-sort") for heading in headings].count("none") == len(headings) - 1
    assert headings[place].get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.ENTER)
    assert column(table, place + 1) == by_number[::-1]
    assert headings[place].get_attribute("aria-sort") == "descending"
    headings[names.index("rank")].find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert column(table, 1) == sorted(column(table, 1), key=int)
    assert headings[place].get_attribute("aria-sort") == "none"


def test_pointing_at_a_curve_shows_its_values(browser: Browser, finished: dict[str, Path]) -> None:
    history = stored_runs.load(finished["train"]).history
    assert history is not None
    browser.open("train")
    figure = browser.figure("Loss over the epochs")
    plot, readout = (figure.find_element(By.CSS_SELECTOR, selector) for selector in (".plot svg", ".readout"))
    (panel,) = json.loads(figure.find_element(By.CSS_SELECTOR, "script").get_attribute("textContent") or "")
    hint = readout.text
    browser.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
    for epoch in (1, 3, history.epochs):
        left, top, *_ = panel["lines"][0]["points"][epoch - 1]
        x, y = browser.run(
            "const box = arguments[0].getBoundingClientRect(), view = arguments[0].viewBox.baseVal;"
            "return [arguments[1] / view.width * box.width, arguments[2] / view.height * box.height]",
            plot, left, top,
        )  # fmt: skip
        middle = plot.size["width"] / 2, plot.size["height"] / 2
        ActionChains(browser.driver).move_to_element_with_offset(plot, x - middle[0], y - middle[1]).perform()
        loss, val_loss = (float(f"{values[epoch - 1]:.4g}") for values in (history.loss, history.val_loss))
        assert readout.text == f"epoch {epoch}: training {loss:g}, validation (test digits) {val_loss:g}"
        assert len(plot.find_elements(By.CSS_SELECTOR, "g:last-child > circle")) == 2
    ActionChains(browser.driver).move_to_element(browser.all("h1")[0]).perform()
    assert readout.text == hint


def test_arrow_keys_read_a_figure(browser: Browser, finished: dict[str, Path]) -> None:
    browser.open("train")
    figure = browser.figure("Confusion matrix")
    plot, readout = (figure.find_element(By.CSS_SELECTOR, selector) for selector in (".plot", ".readout"))
    plot.send_keys(Keys.ARROW_RIGHT)
    counts = json.loads((finished["train"] / "metrics.json").read_text())["confusion_matrix"]
    assert readout.text == f"correct digit 0, predicted digit 0: {counts[0][0]}"
    assert readout.get_attribute("aria-live") == "polite"
    plot.send_keys(Keys.END)
    assert readout.text == f"correct digit 9, predicted digit 9: {counts[9][9]}"
    plot.send_keys(Keys.ARROW_LEFT)
    assert readout.text == f"correct digit 9, predicted digit 8: {counts[9][8]}"


def test_pointing_at_a_heat_map_shows_its_cell(browser: Browser, finished: dict[str, Path]) -> None:
    best = json.loads((finished["sweep"] / "metrics.json").read_text())["ranking"][0]
    browser.open("sweep")
    figure = browser.figure("Accuracy by pairs of settings")
    cell = next(each for each in figure.find_elements(By.TAG_NAME, "text") if each.text == f"{100 * best['mean']:.1f}")
    ActionChains(browser.driver).move_to_element(cell).perform()
    dropout, beta = best["params"]["model.dropout"], best["params"]["optimizer.beta_1"]
    readout = figure.find_element(By.CSS_SELECTOR, ".readout").text
    assert readout == f"dropout {dropout:g}, beta_1 {beta:g}: {100 * best['mean']:.1f}"


def test_markup_in_a_run_is_shown_as_text(browser: Browser, finished: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / finished["train"].name
    shutil.copytree(finished["train"], folder)
    attack = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"warnings": [attack]}))
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(data | {"source": attack}))
    browser.pages["attacked"] = reports.write_report([stored_runs.load(folder)])
    browser.open("attacked")
    assert browser.run("return window.hacked ?? null") is None
    assert browser.all(".warning")[0].text == f"Note: {attack}"
    assert browser.driver.get_log("browser") == []
