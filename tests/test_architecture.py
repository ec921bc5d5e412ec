"""The rules of the house, read from the source: who may import whom, how long a thing may be."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from statistics import quantiles

import pytest
from PIL import Image

from docs import architecture
from seq2seq.tasks.registry import TASKS
from tests.structure import (
    GRAPH,
    MODULES,
    ROOT,
    functions,
    imported,
    length,
    pairs,
    part_of,
    tree,
)

HELD = [
    path
    for name in ("seq2seq", "recipes", "data", "docs", "examples")
    for path in (ROOT / name).rglob("*.py")
]
MOST_PAIRS, MOST_LINES, LONGEST, USUALLY_LONGEST = 75, 450, 40, 16

MAY_IMPORT: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {"", "experiment", "tasks", "runs", "training", "data", "text", "config", "measures",
            "words", "lazy", "errors"},
    "experiment": {"tasks", "runs", "evaluation", "config", "errors"},
    "tasks": {"runs", "models", "data", "search", "training", "evaluation", "nn", "text", "device",
              "config", "tensors", "measures", "symbols", "lists", "lazy", "errors"},
    "runs": {"training", "text", "device", "config", "lists", "errors"},
    "training": {"tensors", "measures", "errors"},
    "evaluation": {"tensors", "measures", "lists", "errors"},
    "search": {"tensors", "symbols", "lazy", "errors"},
    "models": {"nn", "tensors", "errors"},
    "nn": {"tensors", "errors"},
    "data": {"text", "tensors", "symbols", "lists", "errors"},
    "text": {"symbols", "lists", "errors"},
    "device": {"errors"},
    "config": {"words", "errors"},
    "words": {"errors"},
    "measures": {"lazy"},
    "tensors": set(),
    "symbols": set(),
    "lists": set(),
    "lazy": set(),
    "errors": set(),
    "": {"experiment", "tasks", "runs", "search", "errors"},
}  # fmt: skip
"""For each part of the package, the other parts that it may use; the empty name is its root."""

LAZY = {
    "__init__": {"importlib"},
    "cli.main": {"logging", "traceback"},
    "data.pairs.rules": {"seq2seq.data.pairs.repeats"},
    "data.tables": {"datasets"},
    "data.wmt": {"sacrebleu.dataset.wmt_xml"},
    "evaluation.plots.style": {"matplotlib", "matplotlib.font_manager", "matplotlib.figure"},
    "nn.scan": {"seq2seq.nn.triton_scan"},
    "text.sentences": {"sentencex"},
    "tasks.forecasting.arima_fit": {"statsmodels"},
    "tasks.forecasting.arima_orders": {"statsmodels"},
}
"""Imports inside functions: what would make `--help`, or every run, wait, or may be missing."""

ABOVE_TASKS = [name for name in MODULES if part_of(name) in ("cli", "experiment", "__main__")]


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_order_of_the_parts(module: str) -> None:
    own = part_of(module)
    parts = {part_of(found) for found in GRAPH[module]} - {own}
    assert parts <= MAY_IMPORT[own], f"{module} imports {parts - MAY_IMPORT[own]}"


def test_every_permission_is_used() -> None:
    allowed = {(part, other) for part, others in MAY_IMPORT.items() for other in others}
    assert allowed == pairs()


def test_few_parts_know_each_other() -> None:
    assert len(pairs()) <= MOST_PAIRS, len(pairs())


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


def folder_of(module: str, depth: int) -> str:
    """Returns the first parts of a module's name, if it is longer than that."""
    parts = module.split(".")
    return ".".join(parts[:depth]) if len(parts) > depth else ""


def test_no_task_imports_another() -> None:
    for module, others in GRAPH.items():
        own = folder_of(module, 2)
        if own.startswith("tasks."):
            assert {folder_of(other, 2) for other in others if other.startswith("tasks.")} <= {
                own,
                "",
            }, module


def test_pairs_documents_and_series_do_not_know_each_other() -> None:
    kinds = {"data.pairs", "data.documents", "data.series"}
    for module, others in GRAPH.items():
        if folder_of(module, 2) in kinds:
            known = {folder_of(name, 2) for name in others} & kinds
            assert known <= {folder_of(module, 2)}, module


def names_of_tasks() -> set[str]:
    """Returns what only tasks may name: their names, modules and classes."""
    found = set(TASKS) | {name.replace("-", "_") for name in TASKS}
    for module, path in MODULES.items():
        if folder_of(module, 2).startswith("tasks."):
            found |= {node.name for node in tree(path).body if isinstance(node, ast.ClassDef)}
    return found | {"TransductionConfig"}


@pytest.mark.parametrize("module", ABOVE_TASKS)
def test_no_task_is_named_above_the_tasks(module: str) -> None:
    words = set(re.findall(r"[\w-]+", MODULES[module].read_text(encoding="utf-8")))
    words |= {part for word in words for part in re.findall(r"\w+", word)}
    assert not words & names_of_tasks()


def test_what_tasks_are_called_is_found_where_it_stands() -> None:
    assert {"translation", "language_model", "TranslationConfig", "Generator"} <= names_of_tasks()


def test_only_a_few_read_configuration_files() -> None:
    for module, path in MODULES.items():
        libraries = {name.split(".")[0] for node in ast.walk(tree(path)) for name in imported(node)}
        if part_of(module) not in ("config", "runs"):
            assert not libraries & {"yaml", "jsonargparse"}, module


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


def test_private_operators_of_torch_stand_in_one_file() -> None:
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert module == "nn.linear" or not re.search(r"torch\.(ops\.|_int_mm)", text), module


@pytest.mark.parametrize("path", HELD, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_and_no_file_is_long(path: Path) -> None:
    for function in functions(path):
        assert length(function) <= LONGEST, f"{function.name} has {length(function)} lines"
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES, f"{path.name} has {lines} lines"


def test_nine_of_ten_functions_are_short() -> None:
    lengths = [length(function) for path in MODULES.values() for function in functions(path)]
    assert quantiles(lengths, n=10)[-1] <= USUALLY_LONGEST


def test_the_table_of_the_document_is_the_graph() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    shown = {part: set(others.replace(",", " ").split()) for part, others in rows}
    assert shown == architecture.graph()


def test_the_picture_of_the_document_is_that_of_the_source() -> None:
    with Image.open(architecture.PICTURE) as picture:
        shown = picture.info["Description"]
    assert shown == architecture.fingerprint(), "draw it again: python -m docs.architecture"


def test_every_task_is_where_the_registry_says() -> None:
    for entry in TASKS.values():
        assert import_module(entry.verbs).VERBS
        module, _, name = entry.task.partition(":")
        assert getattr(import_module(module), name)


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
