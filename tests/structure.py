"""The structure of the package, read from its source: parts, who imports whom, the functions.

A part is what stands first in a module's name below the package: ``nn`` of ``seq2seq.nn.cells``.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "seq2seq"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(path: Path) -> ast.Module:
    """Returns a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """Returns a module's name below the package; the root's is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(node: ast.AST) -> list[str]:
    """Returns the full names that an import statement binds, or nothing."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports name the whole path"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def inside(name: str) -> str | None:
    """Returns the module of the package that an imported name is, or lies in."""
    head, _, rest = name.partition(".")
    if head != "seq2seq":
        return None
    while rest not in MODULES:
        rest = rest.rpartition(".")[0]
    return rest


def edges(module: str) -> set[str]:
    """Returns the modules of the package that a module imports, types included."""
    names = [name for node in ast.walk(tree(MODULES[module])) for name in imported(node)]
    return {found for name in names if (found := inside(name)) is not None}


GRAPH = {module: edges(module) for module in MODULES}


def part_of(module: str) -> str:
    """Returns the part that a module belongs to; the root is empty."""
    return module.split(".")[0]


def pairs() -> set[tuple[str, str]]:
    """Returns the pairs of parts of which the first imports the second."""
    return {
        (part_of(module), part_of(other))
        for module, others in GRAPH.items()
        for other in others
        if part_of(module) != part_of(other)
    }


def functions(path: Path) -> Iterator[Function]:
    """Yields all functions of a file."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def length(function: Function) -> int:
    """Returns the lines of a function, its docstring aside."""
    total = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return total - ((first.end_lineno or 0) - first.lineno + 1 if documented else 0)
