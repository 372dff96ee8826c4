"""A report as PDF: its HTML page printed by Chromium."""

import os
import re
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

from mnistexp.errors import BadInput, RunError
from mnistexp.report.html import page_to_html
from mnistexp.report.page import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
)
SECONDS = 120
STAMP = re.compile(rb"(?<=Date \(D:)\d{14}[^)]*(?=\))")


def page_to_pdf(page: Page, created: datetime) -> bytes:
    """The page as a PDF with an outline and described figures; collapsed parts are left out.

    `created`, in UTC, is the date in the file, so that the same page gives the same bytes. Raises `BadInput` if no
    browser is installed, `RunError` if it fails.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise BadInput(
            "--format pdf needs Chromium or Google Chrome on the PATH: install one, or print the HTML report from any "
            "browser"
        )
    with tempfile.TemporaryDirectory(prefix="mnistexp-pdf-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_bytes(page_to_html(page).encode("utf-8", "backslashreplace"))
        # Chromium's sandbox doesn't work for root; the page is our own and fetches nothing.
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [browser, *OPTIONS, *root, f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}"]
        try:
            subprocess.run([*command, source.as_uri()], check=True, capture_output=True, timeout=SECONDS)
            content = target.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise RunError(f"{browser} could not print the report: {error}") from error
    return STAMP.sub(f"{created:%Y%m%d%H%M%S}+00'00'".encode(), content)
