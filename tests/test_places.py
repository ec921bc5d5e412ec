"""Where files are: the home folder behind ``~``, and where relative paths of a run begin."""

import logging
from pathlib import Path
from typing import Any, get_origin

import pytest

import seq2seq
from seq2seq import config as configuration
from seq2seq.cli import main
from seq2seq.cli.parser import PATHS, Parser
from seq2seq.cli.verbs import all_verbs
from seq2seq.config.keys import Key, members, walk
from seq2seq.errors import ConfigError, DataError, as_path, at_home
from seq2seq.runs.folder import trained_in, user_cache
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.task import named, read_config
from tests.test_cli import forget_log
from tests.tiny import PAIRS, TEXTS, TINY, frame, train_tiny

NO_PATHS = {
    *("source_column", "target_column", "column", "split", "revision", "tags", "tag", "symbols"),
    *("configuration", "data_files", "start_checkpoint", "freeze"),
    *(f"series.{role}" for role in ("target", "past", "future", "static", "categorical")),
    *("series.time", "series.time_format", "series.id", "from", "until", "frequency", "timezone"),
}
"""Keys with a text that is no path, or how these end."""
OTHER_VALUES = {"NAME", "TEXT", "TASK", "CODE", "prefix", "name"}
"""What the help calls other values of the command line."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "~/.cache")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def texts_of(task: str) -> dict[str, Key]:
    """Returns the keys of a configuration that hold text, or several."""
    found = {}
    for path, key, _ in walk(named(task).config):
        inner = [
            kind for member in members(key.annotation) for kind in (member, *members_of(member))
        ]
        if str in inner:
            found[path] = key
    return found


def is_known_to_be_none(path: str) -> bool:
    return any(f".{path}".endswith(f".{name}") for name in NO_PATHS)


def holds_several(key: Key) -> bool:
    return any(get_origin(member) is tuple for member in members(key.annotation))


def members_of(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", ())


@pytest.mark.parametrize("task", TASKS)
def test_every_text_of_a_configuration_is_a_path_or_is_known_to_be_none(task: str) -> None:
    for path, key in texts_of(task).items():
        assert key.is_path != is_known_to_be_none(path), path


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("given", ["~/x", Path("~/x")])
def test_the_home_folder_stands_in_every_path_of_a_configuration(
    task: str, given: str | Path, home: Path
) -> None:
    kind = named(task).config
    keys = {path: holds_several(key) for path, key in texts_of(task).items() if key.is_path}
    assert {"folder", "data.folder", "data.cache"} <= set(keys)
    assert {"data.test.path", "data.series.path"} & set(keys)
    for key, several in keys.items():
        value = [given] if several else given
        extra = {"data.test.target": "x"} if key == "data.test.source" else {}
        extra |= {"data.test.source": "x"} if key == "data.test.target" else {}
        if key.startswith(("data.train.", "data.valid.")):
            continue  # as those of data.test
        side, _, name = key.rpartition(".")
        extra |= {f"{side}.tokenizer": "bpe"} if name == "model_file" else {}
        if name == "vocabulary_file":
            extra |= {f"{side}.tokenizer": "subword-nmt", f"{side}.model_file": "codes"}
        config = configuration.from_mapping(kind, {**extra, key: value})
        found: Any = configuration.flatten(config)
        section, _, name = key.rpartition(".")
        if section == "data.test":
            found = {key: getattr(config.data.test, name)}
        expected = str(home / "x")
        assert found[key] == ((expected,) if several else expected), key
        assert configuration.from_mapping(kind, configuration.plain(config)) == config


def test_without_a_home_a_path_of_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> None:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    text = "^~/run: no home folder is known here; set HOME, or write the path out$"
    for call in (lambda: seq2seq.load("~/run"), lambda: at_home("~/run")):
        with pytest.raises(ConfigError, match=text):
            call()
    assert at_home("~$draft") == "~$draft"
    assert as_path("~nobody-of-this-name/x", "run") == Path("~nobody-of-this-name/x")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache().parent.name.startswith("cache-")


def test_a_home_where_nothing_can_be_written_has_its_cache_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert user_cache() == home / ".cache" / "seq2seq"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.access", lambda path, mode: path != home)
    assert user_cache().parent.name.startswith("cache-")
    (home / ".cache").mkdir()
    assert user_cache() == home / ".cache" / "seq2seq"


@pytest.mark.parametrize(
    ("verb", "served"),
    [(name, variant) for name, kinds in all_verbs().items() for variant in kinds],
)
def test_every_value_of_the_command_line_is_a_path_or_is_known_to_be_none(
    verb: str, served: Any, home: Path
) -> None:
    parser = Parser(add_help=False)
    served.verb.options(parser)
    for action in parser._actions:
        takes_text = action.type is None and action.choices is None and action.nargs != 0
        if takes_text and (action.metavar or action.dest) not in OTHER_VALUES:
            assert action.metavar in PATHS, (verb, action.dest)
            assert parser._get_value(action, "~/x") == str(home / "x")


def test_the_home_folder_in_python_and_on_the_command_line(home: Path) -> None:
    (home / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS), encoding="utf-8")
    data = {"data.train.path": "~/pairs.tsv", "data.valid.path": "pairs.tsv", "data.folder": "~"}
    settings = {**TINY["translation"].config, **data, "folder": "~/run", "data.cache": "~/cache"}
    run = seq2seq.train(settings)
    assert run.folder == seq2seq.Run.of("~/run").folder == home / "run"
    assert list((home / "cache").glob("*.arrow"))
    config: Any = read_config(run.folder)
    assert (config.folder, config.data.folder) == (str(home / "run"), str(home))
    assert config.data.train.path == str(home / "pairs.tsv")
    (translation,) = seq2seq.Translator.load("~/run", device="cpu")(TEXTS[0])
    assert seq2seq.evaluate("~/run", PAIRS[:2], {"metrics": ["exact"]}, device="cpu")
    (home / "text").write_text(f"{TEXTS[0]}\n", encoding="utf-8")
    try:
        assert main(["translate", "~/run", "~/text", "--output=~/out", "--device=cpu"]) == 0
        assert main(["evaluate", "~/run", "--pairs=~/pairs.tsv", "--device=cpu"]) == 0
    finally:
        forget_log()
    assert (home / "out").read_text(encoding="utf-8") == f"{translation.text}\n"


FILES: dict[str, tuple[dict[str, Any], str]] = {
    "translation": ({"data.test.path": "test.tsv"}, "".join(f"{a}\t{b}\n" for a, b in PAIRS)),
    "language-model": ({"data.test.files": ["test.*"]}, "\n".join(TEXTS)),
    "forecasting": (
        {"data.series.path": "test.tsv", "data.test.last": 14},
        frame().to_csv(sep="\t", index=False),
    ),
}
"""Of tasks that read their test data in ways of their own: the keys that name them, and data."""


@pytest.mark.parametrize("task", FILES)
def test_relative_data_are_found_from_another_directory(
    task: str, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there, elsewhere = home / "work", home / "elsewhere"
    keys, content = FILES[task]
    (there / "test.tsv").write_text(content, encoding="utf-8")
    run = train_tiny(task, there / "run", **keys)
    expected = seq2seq.evaluate("run", device="cpu")
    assert (trained_in(run), caplog.text.count("relative paths")) == (there, 0)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with caplog.at_level(logging.INFO, "seq2seq"):
        assert seq2seq.evaluate(run, device="cpu") == expected
        assert f"relative paths of data begin in {there}, where {run} was trained" in caplog.text
        (there / "test.tsv").rename(elsewhere / "test.tsv")
        assert seq2seq.evaluate(run, device="cpu") == expected
        text = f"{run} was trained with data in {there}, which are read in {elsewhere} now"
        assert text in caplog.text
    (elsewhere / "test.tsv").unlink()
    with pytest.raises(DataError) as error:
        seq2seq.evaluate(run, device="cpu")
    assert str(there / "test.") in str(error.value)
    assert str(error.value).endswith(f"; looked in {there} and {elsewhere}")
    (run / "provenance.json").unlink()  # as where an earlier version did not tell
    with pytest.raises(DataError) as error:
        seq2seq.evaluate(run, device="cpu")
    assert str(error.value).endswith(f"; looked in {elsewhere}")
