"""Recipes load and are short; what the README tells people to type is understood."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import seq2seq
from seq2seq import config as configuration
from seq2seq.cli.main import make_parser
from seq2seq.tasks.task import task_of
from seq2seq.tasks.translation.config import TranslationConfig

ROOT = Path(__file__).parents[1]
RECIPES = sorted(ROOT.glob("recipes/*/*.yaml"))
READMES = [ROOT / "README.md", *sorted(ROOT.glob("recipes/*/README.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def commands(path: Path) -> list[str]:
    text = "\n".join(blocks(path, "sh")).replace("\\\n", " ")
    lines = [line.split(" #")[0].strip() for line in text.splitlines()]
    found = [re.search(r"(?:^|\| )seq2seq (.*?)(?: [|>].*)?$", line) for line in lines]
    return [match[1] for match in found if match]


def load(path: Path, keys: Sequence[str] = ()) -> Any:
    mapping = configuration.read(path)
    return configuration.from_mapping(task_of(mapping).config, mapping, keys, str(path))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_recipe_is_short_and_loads(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
    config = load(path)
    assert config.data.train is not None
    assert config.data.valid is not None
    # A text can be measured on its validation part: nothing is chosen there but the checkpoint.
    assert config.data.test is not None or not isinstance(config, TranslationConfig)
    assert (path.parent / "README.md").exists()


def test_directions_of_multi30k_differ_in_languages_alone() -> None:
    (first, *others) = sorted((ROOT / "recipes" / "multi30k").glob("??-??.yaml"))
    assert others
    for path in others:
        text = configuration.dump(load(path))
        for old, new in zip(path.stem.split("-"), first.stem.split("-"), strict=True):
            text = re.sub(
                rf"(train|val|test_2016_flickr)\.{old}$", rf"\1.<{new}>", text, flags=re.M
            )
        text = re.sub("<(..)>", r"\1", text).replace(path.stem, first.stem)
        assert text == configuration.dump(load(first))


@pytest.mark.parametrize(
    ("readme", "command"),
    [(path, command) for path in READMES for command in commands(path)],
    ids=lambda value: value if isinstance(value, str) else str(value.relative_to(ROOT)),
)
def test_command_of_a_readme_is_understood(readme: Path, command: str) -> None:
    options = make_parser().parse_args(shlex.split(command))
    if options.served[0].verb.name == "train" and options.config.startswith("recipes/"):
        load(ROOT / options.config, options.keys)


def test_readmes_tell_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 10


def test_lists_of_the_readme_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = next(block for block in blocks(ROOT / "README.md", "python") if "pairs = " in block)
    names: dict[str, object] = {"seq2seq": seq2seq}
    exec(code[code.index("pairs = ") :], names)
    assert (tmp_path / "runs" / "tiny" / "config.yaml").exists()


def test_readme_names_every_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"\ndependencies = \[(.*?)\]", project, re.DOTALL)
    assert listed
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r'"([A-Za-z-]+)', listed[1]):
        assert name in readme.split("## Dependencies")[1]
