"""A real browser for tests: Chromium without a window."""

import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "there is no browser: apt-get install chromium chromium-driver"
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]

CONTRASTS = """
const channels = (text) => text.match(/[\\d.]+/g).map(Number);
const lightness = ([r, g, b]) => [r, g, b]
  .map((value) => value / 255)
  .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
const found = [];
for (const element of document.querySelectorAll("body *")) {
  if (!own(element) || !element.checkVisibility({ visibilityProperty: true })) continue;
  if (["SCRIPT", "STYLE"].includes(element.tagName) || element.closest(".skip")) continue;
  const figure = element.closest("svg");
  if (figure && (figure.querySelector(".turned") || ["#010101", "#fefefe"].includes(element.getAttribute("fill")))) {
    continue;  // on a coloured cell
  }
  const style = getComputedStyle(element);
  const [a, b] = [channels(figure ? style.fill : style.color), behind(element)].map(lightness);
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.trim().slice(0, 40)]);
}
return found;
"""
"""The contrast of each text with what is behind it, and the text."""


def start(profile: Path) -> webdriver.Chrome:
    """Chromium with an empty profile, its console and its requests logged.

    Where there is none the test is skipped, or fails where REQUIRE_BROWSER is set.
    """
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    service = shutil.which("chromedriver")
    if not (binary and service):
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(NO_BROWSER)
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
