"""Draw who imports whom into docs/architecture.md, from the code itself.

python tools/draw_architecture.py
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mnistexp"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tools/draw_architecture.py writes from here -->", "<!-- to here -->"


def parts() -> dict[str, list[Path]]:
    """The package's parts, a folder or a single module each, with their files."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.name not in ("__init__.py", "__main__.py") or len(inside.parts) > 1:
            found.setdefault(inside.parts[0].removesuffix(".py"), []).append(path)
    return found


def imported(paths: list[Path]) -> set[str]:
    """The parts that some files import from, anywhere in them."""
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "mnistexp":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mnistexp."):
                found.add(str(node.module).split(".")[1])
    return found


def in_order(graph: dict[str, set[str]]) -> list[str]:
    """The parts so that each comes after those it imports from, as far as there are no circles."""
    waiting, order = dict(graph), list[str]()
    while waiting:
        ready = [part for part, needs in waiting.items() if not needs & (waiting.keys() - {part})]
        chosen = min(ready or waiting, key=lambda part: (len(graph[part]), part))
        order.append(chosen)
        del waiting[chosen]
    return order


def about(paths: list[Path]) -> str:
    """The first sentence of what a part says of itself."""
    main = next((path for path in paths if path.name == "__init__.py"), paths[0])
    text = ast.get_docstring(ast.parse(main.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip(".")


def drawing() -> str:
    """The matrix: a row for each part, a dot under each that it imports from, all of them left of the diagonal."""
    files = parts()
    graph = {part: (imported(paths) & files.keys()) - {part} for part, paths in files.items()}
    order = in_order(graph)
    width = max(map(len, order)) + 1
    lines = ["```text"]
    for number, part in enumerate(order, 1):
        dots = "".join("●" if other in graph[part] else "■" if other == part else "·" for other in order)
        lines.append(f"{number:2} {part:{width}} {dots}")
    lines += ["```", "", "| part | purpose |", "|---|---|"]
    lines += [f"| `{part}` | {about(files[part])} |" for part in order]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with a new drawing in its place."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{drawing()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
