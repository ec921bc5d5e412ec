"""The rules of the house, read from the source: who may import whom, how long a function may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "seq2seq"
HELD = [path for name in ("seq2seq", "recipes", "data") for path in (ROOT / name).rglob("*.py")]

BASE = {"errors", "symbols", "tensors", "measures", "lists"}
USE = {"runs", "tasks", "evaluation", "search", "models", "nn", "data", "text", *BASE}
MAY_IMPORT: dict[str, set[str]] = {
    "cli": {"", "errors", "measures", "commands"},
    "commands": {"config", "experiment", "loading", "inference", "generation", *USE},
    "experiment": {"config", "materials", "inference", "generation", "training", *USE},
    "materials": {"inference", "generation", "training", *USE},
    "loading": {"inference", "generation", "runs", "tasks"},
    "inference": USE,
    "generation": USE,
    "runs": {"config", "tasks", "training", *BASE},
    "tasks": {"training", "evaluation", "search", "models", "data", "text", *BASE},
    "training": BASE,
    "evaluation": BASE,
    "search": {"models", *BASE},
    "models": {"nn", *BASE},
    "nn": BASE,
    "data": {"text", *BASE},
    "text": BASE,
    "config": {"errors", "words"},
    "lists": set(),
    "words": {"errors"},
    "tensors": {"symbols", "errors"},
    "symbols": set(),
    "measures": set(),
    "errors": set(),
    "": {"experiment", "generation", "inference", "loading", "runs"},
}  # fmt: skip
"""For each part of the package, the other parts that it may use; the empty name is its root."""

LAZY = {
    "__init__": {"importlib"},
    "data.sources": {"datasets"},
    "evaluation.report": {"matplotlib", "matplotlib.font_manager", "matplotlib.figure"},
}
"""Imports inside functions: what would make `--help`, or every run, wait for seconds."""

CHOICES = [
    ("nn.recurrent", "CellName", "CELLS"),
    ("nn.attention", "AttentionName", "ATTENTIONS"),
    ("text.normalizers", "NormalizerName", "NORMALIZERS"),
    ("tasks", "TaskName", "TASKS"),
]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(path: Path) -> ast.Module:
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


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_order_of_the_parts(module: str) -> None:
    own = module.split(".")[0]
    parts = {found.split(".")[0] for found in GRAPH[module]} - {own}
    assert parts <= MAY_IMPORT[own], f"{module} imports {parts - MAY_IMPORT[own]}"


def test_the_order_of_the_parts_has_no_cycle() -> None:
    left = {part: set(others) for part, others in MAY_IMPORT.items()}
    left[""] = set()  # the public names, which nobody inside uses (the version aside)
    while free := {part for part, others in left.items() if not others & left.keys()}:
        left = {part: others for part, others in left.items() if part not in free}
    assert left == {}


def test_modules_import_each_other_in_no_circle() -> None:
    left = {module: others - {"", module} for module, others in GRAPH.items()}
    while free := {module for module, others in left.items() if not others & left.keys()}:
        left = {module: others for module, others in left.items() if module not in free}
    assert left == {}, "strongly connected, or above such"


def test_only_a_few_know_of_configuration_files() -> None:
    readers = {module for module, others in GRAPH.items() if "config" in others}
    assert readers <= {"experiment", "runs", "commands", "cli"}
    for module, path in MODULES.items():
        libraries = {name.split(".")[0] for node in ast.walk(tree(path)) for name in imported(node)}
        if module.split(".")[0] not in ("config", "experiment", "runs", "commands", "cli"):
            assert not libraries & {"yaml", "jsonargparse"}, module


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def test_imports_stand_at_the_top() -> None:
    for module, path in MODULES.items():
        found = {
            name
            for function in functions(path)
            for node in ast.walk(function)
            for name in imported(node)
        }
        accepted = LAZY.get(module or "__init__", set())
        assert all(
            any(name == lazy or name.startswith(f"{lazy}.") for lazy in accepted) for name in found
        ), f"{module}: {found}"


@pytest.mark.parametrize("path", HELD, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_is_longer_than_60_lines(path: Path) -> None:
    for function in functions(path):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= 60, f"{function.name} has {length} lines"


def test_a_choice_s_names_are_the_keys_of_its_table() -> None:
    for module, choice, table in CHOICES:
        found = import_module(f"seq2seq.{module}")
        assert set(get_args(getattr(found, choice))) == getattr(found, table).keys(), choice


def test_every_tokenizer_has_its_maker() -> None:
    found = import_module("seq2seq.text.tokenizers")
    kinds = set(get_args(found.TokenizerKind))
    subwords = {name for kind in get_args(found.TokenizerKind) for name in get_args(kind)}
    subwords |= set(get_args(found.SubwordKind))
    names = {kind for kind in kinds if isinstance(kind, str)} | subwords
    assert names == found.FIXED.keys() | set(get_args(found.SubwordKind))


def test_asserts_only_tell_types() -> None:
    """A user's mistake is a raise; an assert may say what the type checker cannot see."""
    for module, path in MODULES.items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Assert):
                test = ast.unparse(node.test)
                assert test.startswith("isinstance(") or test.endswith("is not None"), module


@pytest.mark.parametrize("module", ["seq2seq", "seq2seq.cli"])
def test_importing_the_package_imports_nothing_heavy(module: str) -> None:
    heavy = {"torch", "datasets", "sentencepiece", "matplotlib", "numpy", "sacrebleu"}
    code = f"import sys, {module}; print(*sorted({heavy} & sys.modules.keys()))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == ""
