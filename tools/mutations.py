"""The small mistakes that `mutate.py` makes: a comparison, a sign, a constant, a forgotten statement or argument."""

import ast
import inspect
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = ["Mutant", "mutants_of"]

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
OPPOSITES = {"min": "max", "any": "all", "argmin": "argmax", "minimum": "maximum"}
OPPOSITES |= {other: name for name, other in OPPOSITES.items()}


Place = tuple[tuple[str, int | None], ...]
"""The way from a tree's root to a node: fields, with the position where the field is a list."""
AROUND = 30
"""Characters before and behind a difference that a mutant's name has."""


@dataclass
class Mutant:
    """One mistake. `first` and `last`: the lines where it is; `scope`: those of the function or module around it."""

    name: str
    first: int
    last: int
    scope: tuple[int, int]
    source: str
    place: Place
    replacement: ast.AST

    def tree(self) -> ast.Module:
        """The module's source with the mistake in it."""
        tree = ast.parse(self.source)
        node = tree
        for field, index in self.place[:-1]:
            node = _child(node, field, index)
        _put(node, *self.place[-1], ast.copy_location(self.replacement, _child(node, *self.place[-1])))
        return ast.fix_missing_locations(tree)


def mutants_of(module: ModuleType) -> list[Mutant]:
    """Every mutant of a module, in the order of its source, each with a name of its own."""
    source = inspect.getsource(module)
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    found = []
    for place, nodes in _nodes(tree, (), (tree,)):
        statement = next(node for node in reversed(nodes) if isinstance(node, ast.stmt))
        scopes = [node for node in nodes[:-1] if isinstance(node, ast.FunctionDef)]
        within = ".".join(node.name for node in nodes[:-1] if isinstance(node, ast.FunctionDef | ast.ClassDef))
        lines = (scopes[-1].lineno, scopes[-1].end_lineno or 0) if scopes else (1, len(source.splitlines()))
        for replacement in _mistakes(nodes[-1], nodes[-2]):
            change = f"{within}: {_change(nodes[-2], *place[-1], replacement)}"
            seen[change] += 1
            name = f"{module.__name__.rpartition('.')[2]} {change}" + (f" #{seen[change]}" if seen[change] > 1 else "")
            first, last = statement.lineno, getattr(nodes[-1], "end_lineno", None) or statement.lineno
            found.append(Mutant(name, first, last, lines, source, place, replacement))
    return found


def _nodes(node: ast.AST, place: Place, above: tuple[ast.AST, ...]) -> Iterator[tuple[Place, tuple[ast.AST, ...]]]:
    """Every node that may be mistaken, by its place in the tree, with itself and those above it."""
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_comment", "format_spec", "bases", "exc"}:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_left_out(child, node):
                here, nodes = (*place, (field, index)), (*above, child)
                yield here, nodes
                yield from _nodes(child, here, nodes)


def _is_left_out(node: ast.AST, parent: ast.AST) -> bool:
    """What only says something: types, docstrings, texts; and fields of a class, which its decorator has read."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.expr_context():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.Assign(value=ast.Subscript()):
            return isinstance(parent, ast.Module)
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Constant():
            return isinstance(parent, ast.JoinedStr)
        case ast.stmt() if isinstance(parent, ast.ClassDef):
            return not isinstance(node, ast.FunctionDef)
    return False


def _mistakes(node: ast.AST, parent: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=[operator, *more], comparators=comparators):
            for other in COMPARISONS[type(operator)]:
                yield ast.Compare(left, [other(), *more], comparators)
            for other in COMPARISONS[type(more[0])] if more else ():
                yield ast.Compare(left, [operator, other()], comparators)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in ARITHMETIC:
            yield ast.BinOp(left, ARITHMETIC[type(operator)](), right)
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Constant(value=value):
            yield from (ast.Constant(other) for other in _other_constants(value))
        case ast.Name(id=name, ctx=context) if name in OPPOSITES:
            yield ast.Name(OPPOSITES[name], context)
        case ast.Attribute(value=value, attr=name, ctx=context) if name in OPPOSITES:
            yield ast.Attribute(value, OPPOSITES[name], context)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            for index, keyword in enumerate(keywords):
                if keyword.arg:
                    yield ast.Call(function, arguments, keywords[:index] + keywords[index + 1 :])
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Delete() | ast.Break() | ast.Continue() | ast.Return():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
    decides = isinstance(parent, ast.If | ast.IfExp | ast.While) and node is parent.test
    if decides and isinstance(node, ast.expr) and not isinstance(node, ast.UnaryOp | ast.Compare):
        yield ast.UnaryOp(ast.Not(), node)


def _other_constants(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value - 1] if isinstance(value, int) and value > 1 else [value + 1]
        case str() if value and " " not in value:
            return [f"{value}x"]
    return []


def _child(node: ast.AST, field: str, index: int | None) -> Any:
    value = getattr(node, field)
    return value if index is None else value[index]


def _put(node: ast.AST, field: str, index: int | None, child: ast.AST) -> None:
    if index is None:
        setattr(node, field, child)
    else:
        getattr(node, field)[index] = child


def _change(parent: ast.AST, field: str, index: int | None, replacement: ast.AST) -> str:
    """The mistake as text, with the expression around it where there is one."""
    node = _child(parent, field, index)
    if not isinstance(parent, ast.expr | ast.keyword):
        return _difference(_text(node), _text(replacement))
    before = _text(parent)
    _put(parent, field, index, replacement)
    after = _text(parent)
    _put(parent, field, index, node)
    return _difference(before, after)


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _difference(before: str, after: str) -> str:
    """Two texts with what is the same far before and far behind their difference left out."""
    if max(len(before), len(after)) > 3 * AROUND:
        start = max(0, _shared(before, after) - AROUND)
        end = max(0, _shared(before[:start:-1], after[:start:-1]) - AROUND)
        cut = [text[start : len(text) - end] for text in (before, after)]
        before, after = (f"{'…' if start else ''}{text}{'…' if end else ''}" for text in cut)
    return f"{before if len(before) < 150 else f'{before[:AROUND]}…'} → {after}"


def _shared(one: str, other: str) -> int:
    """The length of the beginning that two texts have in common."""
    return len(os.path.commonprefix([one, other]))  # noqa: RUF071 - of characters, not of folders
