"""What the package's docstrings owe their readers beside good form: errors, shapes, dtypes, units and sources.

Form is the business of ruff's `D` rules. Here the syntax alone is read; nothing of the package is imported.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parent.parent / "mnistexp"

ARRAY = re.compile(r"\b(?:NDArray|ndarray|ArrayLike)\b")
LENGTH = r"(?:len\(\w+\)|[*+a-z0-9_]+(?: [*+a-z0-9_]+)*|\.\.\.)"
SHAPE = re.compile(rf"\({LENGTH},(?: {LENGTH},)*(?: {LENGTH})?\)|\bshapes?\b|\bone (?:\w+ )?(?:per|for each|each)\b")
"""A shape such as (n,) or (n, 28, 28), or words for one."""
DTYPE = re.compile(r"\b(?:u?int|float)(?:8|16|32|64)\b|\bbool\b|\bdtypes?\b")
DURATIONS = {"age", "delay", "duration", "elapsed", "interval", "older_than", "timeout", "wait"}
"""Names of numbers that have a unit and don't end in it."""
NUMBER = re.compile(r"(?:float|int)(?: \| None)?")
UNIT = re.compile(r"\b(?:(?:milli)?second|minute|hour|day)s?\b")
SOURCE = re.compile(r"\b[Ss]ource: (?:[^`]*?\b(?:(?:18|19|20)\d\d\b|scikit-learn|scipy|assignment)|`(\w+)`)", re.DOTALL)
"""A year and what stands before it, a library, the assignment, or another function that names its source."""
NO_STATISTICS = {"check_level", "counts_of", "earnings"}
"""These look at arguments, and estimate nothing."""
READ_BY_NOBODY = {"overload", "field_validator", "model_validator"}
"""Decorators of stubs, and of what pydantic calls, whose errors it turns into its own."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Law = Callable[["Documented"], list[str]]


class Documented(NamedTuple):
    """What has a docstring: a function or method, a field of a class, or a name for a type.

    `types` maps each argument and "return", or the name itself, to its type as it is written.
    """

    name: str
    text: str
    types: dict[str, str]
    raised: frozenset[str] = frozenset()


def last_name(node: ast.expr | None) -> str:
    """The last part of a dotted name, called or not; "" for anything else."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def raised_in(function: Function) -> frozenset[str]:
    """Classes of the exceptions that a function raises by name, those of functions within it left out."""
    found, waiting = set(), list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise):
            found.add(last_name(node.exc))
        if not isinstance(node, Function | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(name for name in found if name[:1].isupper())


def types_of(function: Function) -> dict[str, str]:
    given = function.args
    arguments = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    types = {argument.arg: argument.annotation for argument in arguments if argument} | {"return": function.returns}
    return {name: ast.unparse(annotation) for name, annotation in types.items() if annotation}


def documented(owner: ast.Module | ast.ClassDef) -> Iterator[Documented]:
    """All that is for others in a module; a class's own docstring speaks for its fields and its `__init__`."""
    prefix, above = "", ""
    if isinstance(owner, ast.ClassDef):
        prefix, above = f"{owner.name}.", ast.get_docstring(owner) or ""
    for node, below in pairwise([*owner.body, ast.Pass()]):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
        if isinstance(node, Function):
            text = above if node.name == "__init__" else ast.get_docstring(node) or ""
            stub = READ_BY_NOBODY & set(map(last_name, node.decorator_list))
            if not stub and (node.name == "__init__" or not node.name.startswith("_")):
                yield Documented(prefix + node.name, text, types_of(node), raised_in(node))
        elif isinstance(node, ast.ClassDef):
            if not node.name.startswith("_") and "Protocol" not in map(last_name, node.bases):
                yield from documented(node)
        elif isinstance(node, ast.AnnAssign):
            name = last_name(node.target)
            yield Documented(prefix + name, f"{above} {text}", {name: ast.unparse(node.annotation)})
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            name = last_name(node.targets[0])
            yield Documented(prefix + name, f"{above} {text}", {name: ast.unparse(node.value)})


def errors_unnamed(item: Documented) -> list[str]:
    """Who raises an exception by its name says so, by the same name."""
    says = re.search(r"\b[Rr]aise", item.text)
    return [f"raises {error}" for error in sorted(item.raised) if not (says and re.search(rf"\b{error}\b", item.text))]


def shapes_unsaid(item: Documented) -> list[str]:
    """Who takes arrays or gives them back says of which shape; a type with a name has it below that."""
    arrays = [name for name, kind in item.types.items() if ARRAY.search(kind)]
    return [] if SHAPE.search(item.text) else [f"{name} has no shape" for name in arrays]


def dtypes_unsaid(item: Documented) -> list[str]:
    """The dtype of an array is in its type or in the docstring."""
    arrays = [name for name, kind in item.types.items() if "NDArray[Any]" in kind]
    return [] if DTYPE.search(item.text) else [f"{name} has no dtype" for name in arrays]


def units_unsaid(item: Documented) -> list[str]:
    """A duration whose name doesn't end in its unit has it in the docstring."""
    durations = [name for name, kind in item.types.items() if name in DURATIONS and NUMBER.fullmatch(kind)]
    return [] if UNIT.search(item.text) else [f"{name} has no unit" for name in durations]


def sources_unnamed(functions: dict[str, str]) -> list[str]:
    """The names of statistical functions whose docstrings give no source; `functions`: name to docstring."""
    unnamed = set(functions)
    while found := {
        name
        for name in unnamed
        if (source := SOURCE.search(functions[name])) and (source[1] is None or source[1] in functions.keys() - unnamed)
    }:
        unnamed -= found
    return sorted(unnamed)


LAWS = [errors_unnamed, shapes_unsaid, dtypes_unsaid, units_unsaid]


@cache
def package() -> list[tuple[str, Documented]]:
    """Everything with a docstring, by module, except commands: their docstrings are help and name no exceptions."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.stem.endswith("_commands")]
    return [
        (str(path.relative_to(PACKAGE)), item)
        for path in paths
        for item in documented(ast.parse(path.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_docstrings_of_the_package_keep_the_rules(law: Law) -> None:
    assert [f"{path}: {item.name}: {fault}" for path, item in package() for fault in law(item)] == []


def test_each_statistic_names_its_source() -> None:
    functions = {
        item.name: item.text
        for path, item in package()
        if path.startswith("statistics/") and "return" in item.types and "." not in item.name
    }
    assert len(functions) > 20
    assert set(sources_unnamed(functions)) == NO_STATISTICS


FAULTS = {
    "x has no shape": "def f(x: NDArray[np.uint8]) -> None:\n    'As Holm (n - 1).'",
    "return has no shape": "def f() -> list[NDArray[A]]:\n    'All.'",
    "C.x has no shape": "class C:\n    'Some.'\n    x: NDArray[A]\n    'All.'",
    "Rows has no shape": "Rows = NDArray[np.int64]",
    "x has no dtype": "def f(x: NDArray[Any]) -> None:\n    'Labels (n,).'",
    "timeout has no unit": "def f(timeout: float | None = None) -> None:\n    'Wait.'",
    "raises BadInput": "def f() -> None:\n    'Not a BadInput.'\n    raise BadInput('no')",
    "raises B": "def f() -> None:\n    'Raises `A`.'\n    try:\n        raise A\n    except A:\n        raise errors.B",
    "C.__init__: raises A": "class C:\n    'Raises.'\n    def __init__(self):\n        raise A",
}
"""What each law finds, and in which source."""
SOUND = [
    "def f(x: NDArray[Any], timeout: float) -> None:\n    'Of int64 (n, 28), in seconds; raises `A`.'\n    raise A",
    "def f(x: NDArray[np.int64], timeout_seconds: float) -> None:\n    'Scores, one per trial.'\n    raise error",
    "def _f() -> None:\n    raise A",
    "def f() -> None:\n    def g():\n        raise A",
    "class C:\n    'Some (n,). Raises A.'\n    x: NDArray[A]\n    def __init__(self):\n        raise A",
    "class C:\n    @model_validator(mode='after')\n    def m(self):\n        raise A",
]


def faults(source: str) -> list[str]:
    return [f"{item.name}: {fault}" for item in documented(ast.parse(source)) for law in LAWS for fault in law(item)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_docstring_that_breaks_a_rule_is_found(fault: str) -> None:
    (found,) = faults(FAULTS[fault])
    assert fault.replace("C.x ", "C.x: x ") in found


@pytest.mark.parametrize("source", SOUND)
def test_a_docstring_that_keeps_the_rules_passes(source: str) -> None:
    assert faults(source) == []


def test_a_statistic_without_a_source_is_found() -> None:
    told = {
        "none": "The mean, known since Student (1908).",
        "nowhere": "Source: `none`.",
        "circle": "Source: `circle`.",
        "year": "Source: Student (1908), Biometrika 6.",
        "library": "Source: as scikit-learn's `recall_score`.",
        "another": "Assumptions and source: `year`.",
    }
    assert sources_unnamed(told) == ["circle", "none", "nowhere"]
