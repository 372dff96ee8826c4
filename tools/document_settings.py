"""Put the tables of all settings, made from the catalogue of settings, into docs/configuration.md.

    python tools/document_settings.py

A test fails when they are not up to date.
"""

from itertools import groupby
from pathlib import Path

from mnistexp.config.catalogue import Setting, catalogue, entries

DOCS = Path(__file__).parent.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- tools/document_settings.py writes from here -->", "<!-- to here -->"


def tables() -> str:
    """A table for each section of a configuration, in its order, under a heading of its own."""
    about = {entry.key: entry.meaning for entry in entries()}
    found = []
    for section, settings in groupby(catalogue().values(), key=_section):
        rows = ["| key | type | default | allowed | meaning |", "|---|---|---|---|---|", *map(_row, settings)]
        found.append(
            "\n\n".join(filter(None, [f"### {section or 'The experiment'}", about.get(section), "\n".join(rows)]))
        )
    return "\n\n".join(found)


def _section(setting: Setting) -> str:
    return setting.key.partition(".")[0] if "." in setting.key or setting.key == "sweep" else ""


def _row(setting: Setting) -> str:
    of_all = setting.default and "(" not in setting.default
    default = f"`{setting.default}`" if of_all else setting.default
    cells = [f"`{setting.key}`", setting.type, default, setting.allowed, setting.meaning]
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def with_tables(page: str) -> str:
    """The page with the tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the page."""
    DOCS.write_text(with_tables(DOCS.read_text()))


if __name__ == "__main__":
    main()
