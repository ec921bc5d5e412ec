"""The layer between YAML, the command line and the dataclasses: values, keys and every refusal."""

import math
import time
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq import config
from seq2seq.config.files import Loader
from seq2seq.errors import ConfigError, OneOf, PathText, require


@dataclass(frozen=True, kw_only=True)
class Encoder:
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The kind of
    recurrent cell."""
    hidden_size: int = 256
    """Width."""
    layers: int = 1
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)


@dataclass(frozen=True, kw_only=True)
class Attention:
    kind: Literal["dot", "additive"] = "additive"
    heads: int | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    encoder: Encoder = field(default_factory=lambda: Encoder(hidden_size=64))
    """Reads the source."""
    attention: Attention | None = None
    """How the decoder looks back."""
    tie: bool = False


@dataclass(frozen=True, kw_only=True)
class Train:
    rate: float = 1e-3
    clip: float | None = None
    sizes: tuple[int, ...] = (8, 16)
    metrics: tuple[Literal["bleu", "chrf"], ...] = ("bleu",)
    depth: Literal[1, 2] = 1
    batch: int | Literal["auto"] = "auto"
    switch: Literal["off", "none"] = "off"

    def __post_init__(self) -> None:
        require(self.depth == 1 or self.rate < 1, "schedule", "plain above 1", "steep")


@dataclass(frozen=True, kw_only=True)
class Data:
    source: str
    """The file to read."""
    languages: tuple[str, ...] = ()
    prefix: str | None = None
    pairs: int = field(default=0, init=False)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    data: Data
    name: str = "run"


SOURCE = {"data": {"source": "train.de"}}


def build(*words: str, **sections: object) -> Experiment:
    return config.from_mapping(Experiment, {**SOURCE, **sections}, words)


def refusal(content: str | bytes, tmp_path: Path) -> str:
    """Returns the message for a file called ``de-en.yaml``, without its folder."""
    path = tmp_path / "de-en.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        config.load(Experiment, path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{tmp_path}/", "")


# Values


def test_defaults_then_file_then_overrides(tmp_path: Path) -> None:
    path = tmp_path / "de-en.yaml"
    path.write_text("model:\n  encoder:\n    cell: gru\n    layers: 2\ndata:\n  source: a.de\n")
    built = config.load(Experiment, path, ["--model.encoder.layers", "3", "--name=b"])
    encoder = Encoder(cell="gru", hidden_size=64, layers=3)
    assert built == Experiment(model=Model(encoder=encoder), data=Data(source="a.de"), name="b")


def test_without_a_file() -> None:
    assert config.load(Experiment, None, {"data.source": "a"}) == Experiment(data=Data(source="a"))


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "\ufeff"])
def test_an_empty_file_is_the_defaults(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text(content, encoding="utf-8")
    assert config.load(Model, path) == Model()


def test_an_empty_section_is_its_defaults() -> None:
    assert build(model=None).model == Model()


def test_overrides_from_python_take_keys_and_sections() -> None:
    overrides = {"model.encoder": {"cell": "rnn"}, "model.encoder.layers": 4}
    built = config.from_mapping(Experiment, SOURCE, overrides)
    assert built.model.encoder == Encoder(cell="rnn", hidden_size=64, layers=4)


def test_an_optional_section_comes_and_goes() -> None:
    assert build("--model.attention.kind", "dot").model.attention == Attention(kind="dot")
    given_by_file = {"attention": {"heads": 2}}
    assert build(model=given_by_file).model.attention == Attention(heads=2)
    assert build("--model.attention", "none", model=given_by_file).model.attention is None
    again = build("--model.attention", "none", "--model.attention.heads", "3", model=given_by_file)
    assert again.model.attention == Attention(heads=3)


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["--model.encoder.layers", "3"], "model.encoder.layers", 3),
        (["--model.encoder.layers=-3"], "model.encoder.layers", -3),
        (["--model.encoder.layers", "-3"], "model.encoder.layers", -3),
        (["--train.rate", "1e-4"], "train.rate", 1e-4),
        (["--train.rate", "1"], "train.rate", 1.0),
        (["--train.clip", "none"], "train.clip", None),
        (["--train.clip", "NULL"], "train.clip", None),
        (["--train.sizes", "[1, 2]"], "train.sizes", (1, 2)),
        (["--train.sizes", "[]"], "train.sizes", ()),
        (["--train.metrics", "[chrf, bleu]"], "train.metrics", ("chrf", "bleu")),
        (["--train.depth", "2"], "train.depth", 2),
        (["--train.batch", "64"], "train.batch", 64),
        (["--train.batch", "auto"], "train.batch", "auto"),
        (["--train.switch", "none"], "train.switch", "none"),
        (["--model.tie", "true"], "model.tie", True),
        (["--model.tie", "True"], "model.tie", True),
        (["--data.prefix", "none"], "data.prefix", None),
        (["--data.prefix", "3"], "data.prefix", "3"),
        (["--data.prefix=a=b: [c"], "data.prefix", "a=b: [c"),
        (["--data.languages", "[no, de]"], "data.languages", ("no", "de")),
        (["--name", "null"], "name", "null"),
        (["--name="], "name", ""),
        (["--name", "a", "--name", "b"], "name", "b"),
        (["--model.encoder", "{cell: gru}"], "model.encoder.cell", "gru"),
    ],
)
def test_words_are_read_by_the_type_of_the_field(words: list[str], key: str, value: object) -> None:
    found = config.flatten(build(*words))[key]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train: {rate: 1e-3}", "train.rate", 1e-3),
        ("train: {rate: 2}", "train.rate", 2.0),
        ("train: {clip: null}", "train.clip", None),
        ("train: {switch: off}", "train.switch", "off"),
        ("train: {metrics: [chrf]}", "train.metrics", ("chrf",)),
        ("train.rate: 5", "train.rate", 5.0),
        ("name: no", "name", "no"),
        ("name: 2024-13-01", "name", "2024-13-01"),
        ("name: 'null'", "name", "null"),
        ("name: 0", "name", "0"),
        ("name: 007", "name", "007"),
        ("name: 1.10", "name", "1.10"),
        ("name: 1_000", "name", "1_000"),
        ("name: 10:30", "name", "10:30"),
        ("name: 0x1F", "name", "0x1F"),
        ("name: 2024-01-31", "name", "2024-01-31"),
        ("data.prefix: 1.0", "data.prefix", "1.0"),
        ("data: {languages: [de, 1.50, 007]}", "data.languages", ("de", "1.50", "007")),
        ("train: {batch: 64}", "train.batch", 64),
        ("train: {sizes: [010, 1_0]}", "train.sizes", (8, 10)),
        ("train: {clip: 1.50}", "train.clip", 1.5),
    ],
)
def test_yaml_values(tmp_path: Path, text: str, key: str, value: object) -> None:
    path = tmp_path / "de-en.yaml"
    path.write_text(text)
    found = config.flatten(config.load(Experiment, path, {"data.source": "a"}))[key]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "given", "value"),
    [
        ("name", Path("runs") / "a", "runs/a"),
        ("name", 0, "0"),
        ("name", 1.5, "1.5"),
        ("name", np.int64(3), "3"),
        ("data.prefix", Path("a"), "a"),
        ("data.languages", [Path("a"), 2], ("a", "2")),
        ("model.encoder.layers", np.int64(3), 3),
        ("train.rate", np.float64(0.5), 0.5),
    ],
)
def test_values_from_python(key: str, given: object, value: object) -> None:
    found = config.flatten(config.from_mapping(Experiment, SOURCE, {key: given}))[key]
    assert found == value
    assert type(found) is type(value)


# Refusals


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model: {encoder: {hiden_size: 2}}",
            "model.encoder.hiden_size: unknown key; did you mean 'model.encoder.hidden_size'?",
        ),
        ("hidden_size: 2", "hidden_size: unknown key; did you mean 'model.encoder.hidden_size'?"),
        ("modle: {tie: true}", "modle: unknown key; did you mean 'model'?"),
        ("model: {zzz: 1}", "model.zzz: unknown key; accepted: encoder, attention, tie"),
        ("1: 2", "1: unknown key; accepted: model, train, data, name"),
        ('"a\\nb": 2', r"'a\nb': unknown key; accepted: model, train, data, name"),
        ("model.: 2", "model.: unknown key; accepted: encoder, attention, tie"),
        ("data: {pairs: 3}", "data.pairs: unknown key; accepted: source, languages, prefix"),
        ("model: {encoder: {layers: two}}", "model.encoder.layers: must be int, got 'two'"),
        ("model: {encoder: {layers: 2.0}}", "model.encoder.layers: must be int, got 2.0"),
        ("model: {encoder: {layers: true}}", "model.encoder.layers: must be int, got True"),
        ("model: {encoder: {layers: }}", "model.encoder.layers: must be int, got None"),
        ("train: {rate: false}", "train.rate: must be float, got False"),
        ("train: {clip: soft}", "train.clip: must be float or none, got 'soft'"),
        ("train: {depth: true}", "train.depth: must be one of 1, 2, got True"),
        ("train: {batch: 1.5}", "train.batch: must be one of int, auto, got 1.5"),
        ("model: {tie: 1}", "model.tie: must be bool, got 1"),
        ("name: true", "name: must be str, got True"),
        ("name: ", "name: must be str, got None"),
        ("name: .nan", "name: must be str, got nan"),
        ("name: [3]", "name: must be str, got [3]"),
        ("name: {a: 1, b: 2}", "name: must be str, got a section with keys a, b"),
        ("data: {languages: [de, true]}", "data.languages: must be list of str, got ['de', True]"),
        ("data: {languages: [de, null]}", "data.languages: must be list of str, got ['de', None]"),
        ("data: {languages: 1}", "data.languages: must be list of str, got 1"),
        ("data: {languages: de}", "data.languages: must be list of str, got 'de'"),
        (
            "model: {encoder: {cell: lstn}}",
            "model.encoder.cell: must be one of lstm, gru, rnn, got 'lstn'; did you mean 'lstm'?",
        ),
        (
            "train: {metrics: [bleu, chf]}",
            "train.metrics: must be list of bleu|chrf, got ['bleu', 'chf']; did you mean 'chrf'?",
        ),
        (
            "model: {encoder: gru}",
            "model.encoder: must be a section with keys cell, hidden_size, layers, dropout, "
            "got 'gru'",
        ),
        ("model: {encoder: {dropout: 1.5}}", "model.encoder.dropout: must be in [0, 1), got 1.5"),
        ("- a", "must be a mapping of keys to values, got ['a']"),
        ("name: [a", "line 1, column 9: expected ',' or ']', but got '<stream end>'"),
        ("name: a\nmodel: b: c", "line 2, column 9: mapping values are not allowed here"),
        ("name: a\nname: b", "line 2, column 1: duplicate key 'name', first on line 1"),
        ("{name: a, name: b}", "line 1, column 11: duplicate key 'name', first on line 1"),
        ("name: a\n---\nname: b", "line 2, column 1: found another document"),
        (
            "name: &x [*x]",
            "line 1, column 11: aliases are not accepted; a text that begins with * needs quotes",
        ),
        (
            "data: {languages: [*x.y]}",
            "line 1, column 22: aliases are not accepted; a text that begins with * needs quotes",
        ),
        ("name: !!int x", "line 1, column 7: cannot be read as int"),
        ("name: !!bool x", "line 1, column 7: cannot be read as bool"),
        ("train: {clip: 0x" + "f" * 99 + "}", "line 1, column 15: cannot be read as int"),
        (
            "name: !!python/name:os.system",
            "line 1, column 7: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'",
        ),
        ("name: a\nname: \0", "line 2: character U+0000 is not allowed in YAML"),
        ("[" * 5000, "nested too deeply"),
        (b"name: a\nx: \xff", "line 2: not UTF-8 at byte 11"),
    ],
)
def test_a_file_is_refused_in_one_line(text: str | bytes, message: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path) == f"de-en.yaml: {message}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gru"], "gru: unexpected argument; write --key value"),
        (
            ["--data.languages", "[*x, de]"],
            "--data.languages: must be list of str, got '[*x, de]'; quote what begins with a star, "
            "as ['*bias']",
        ),
        (["-x", "1"], "-x: unexpected argument; write --key value"),
        (["--"], "--: unexpected argument; write --key value"),
        (["--name", "a", "b"], "b: unexpected argument; write --key value"),
        (["--name"], "--name: needs a value; write --name VALUE"),
        (["--name", "--model.tie"], "--name: needs a value; write --name VALUE"),
        (
            ["--model.enc.cell", "gru"],
            "--model.enc.cell: unknown key; did you mean 'model.encoder.cell'?",
        ),
        (
            ["--model.encoder.hiden_size=1"],
            "--model.encoder.hiden_size: unknown key; did you mean 'model.encoder.hidden_size'?",
        ),
        (["--encoder.cell=gru"], "--encoder.cell: unknown key; did you mean 'model.encoder.cell'?"),
        (["--help", "me"], "--help: unknown key; accepted: model, train, data, name"),
        (["--name.first", "a"], "--name: must be str, got a section with keys first"),
        (["--model.encoder.layers", "256.0"], "--model.encoder.layers: must be int, got 256.0"),
        (["--model.encoder.layers="], "--model.encoder.layers: must be int, got ''"),
        (["--model.encoder.layers", "[a"], "--model.encoder.layers: must be int, got '[a'"),
        (
            ["--model.encoder.cell", "GRU"],
            "--model.encoder.cell: must be one of lstm, gru, rnn, got 'GRU'",
        ),
        (
            ["--model.attention", "dot"],
            "--model.attention: must be a section with keys kind, heads",
        ),
        (["--model.encoder.dropout=2"], "--model.encoder.dropout: must be in [0, 1), got 2.0"),
    ],
)
def test_a_command_line_is_refused_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(*words)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_overrides_from_python_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^overrides: model\.tie: must be bool, got 'maybe'$"):
        config.from_mapping(Experiment, SOURCE, {"model.tie": "maybe"})


def test_an_integer_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^overrides: train\.rate: must be float, got 1000"):
        config.from_mapping(Experiment, SOURCE, {"train.rate": 10**400})


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(ConfigError, match="must be int, got 'aaa") as caught:
        build("--model.encoder.layers", "a" * 9999)
    assert len(str(caught.value)) < 150


def test_a_missing_key_is_required() -> None:
    with pytest.raises(ConfigError, match=r"^data\.source: is required$"):
        config.from_mapping(Experiment, {})


def test_a_rule_over_several_keys_has_the_path_of_its_section() -> None:
    with pytest.raises(ConfigError, match=r"^train\.schedule: must be plain above 1, got 'steep'$"):
        build(train={"depth": 2, "rate": 3})


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "de-en.yaml").touch()
    with pytest.raises(ConfigError, match=r"de_en\.yaml: no such file; did you mean 'de-en.yaml'"):
        config.load(Model, tmp_path / "de_en.yaml")
    with pytest.raises(ConfigError, match=r"nowhere/a\.yaml: no such file$"):
        config.load(Model, tmp_path / "nowhere" / "a.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r": is a directory; a YAML file is expected$"):
        config.load(Model, tmp_path)


def test_an_unreadable_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match=r"^a\.yaml: cannot be read: Permission denied$"):
        config.load(Model, "a.yaml")


# The way back


def test_dump_keeps_the_order_of_the_fields() -> None:
    text = config.dump(Model(attention=Attention()))
    assert list(yaml.safe_load(text)) == ["encoder", "attention", "tie"]
    assert "pairs" not in config.dump(Data(source="ü"))
    assert "source: ü\n" in config.dump(Data(source="ü"))


@pytest.mark.parametrize("text", ["a\x85b", "a\u2028b", "a\nb", "a\r\nb", "\ufeff", "\t", " a "])
def test_separators_survive_the_way_back(text: str) -> None:
    assert config.from_mapping(Data, yaml.safe_load(config.dump(Data(source=text)))).source == text


words = st.text(st.characters(exclude_categories=["Cs"]))
encoders = st.builds(
    Encoder,
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    hidden_size=st.integers(-(2**63), 2**63),
    dropout=st.floats(0, 1, exclude_max=True),
)
experiments = st.builds(
    Experiment,
    model=st.builds(
        Model,
        encoder=encoders,
        attention=st.none() | st.builds(Attention, heads=st.none() | st.integers(0, 9)),
        tie=st.booleans(),
    ),
    train=st.builds(
        Train,
        rate=st.floats(allow_nan=False, allow_infinity=False),
        clip=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        sizes=st.lists(st.integers(0, 99)).map(tuple),
        metrics=st.lists(st.sampled_from(["bleu", "chrf"])).map(tuple),
        batch=st.integers(1, 9) | st.just("auto"),
        switch=st.sampled_from(["off", "none"]),
    ),
    data=st.builds(
        Data, source=words, languages=st.lists(words).map(tuple), prefix=st.none() | words
    ),
    name=st.sampled_from(["null", "no", "1e-3", "1:30", "2024-01-01", "~", "", "=", "<<", "*a"]),
)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_are_finite(value: float) -> None:
    text = rf"^config: train.rate: must be finite, got {value}$"
    with pytest.raises(ConfigError, match=text):
        config.from_mapping(Experiment, {"train": {"rate": value}})


@settings(deadline=None, max_examples=60)
@given(experiments)
def test_what_is_dumped_is_read_again(experiment: Experiment) -> None:
    text = config.dump(experiment)
    assert config.from_mapping(Experiment, yaml.safe_load(text)) == experiment
    strictly = yaml.load(text, Loader)  # the loader that files go through
    assert config.from_mapping(Experiment, strictly) == experiment
    assert config.from_mapping(Experiment, SOURCE, config.flatten(experiment)) == experiment
    assert config.differences(experiment, experiment) == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5) | st.integers(), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(config.flatten(Experiment(data=Data(source=""))))), values)
def test_any_value_is_taken_or_refused_in_one_line(key: str, value: object) -> None:
    try:
        config.from_mapping(Experiment, SOURCE, {key: value})
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - taken or refused, both are right


@settings(deadline=None, max_examples=60)
@given(st.text("ab-=.: [{", max_size=9) | st.text(max_size=9))
def test_any_word_is_taken_or_refused_in_one_line(word: str) -> None:
    for line in ([word], ["--train.sizes", word], [f"--{word}", "1"]):
        try:
            build(*line)
        except ConfigError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=20) | st.text("ab-=.: [{&*!\n\t'\"|>", max_size=20).map(str.encode))
def test_any_file_is_taken_or_refused_in_one_line(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: content)
        try:
            config.load(Model, "a.yaml")
        except ConfigError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017


# What is said about a configuration


def test_flatten_names_every_value() -> None:
    flat = config.flatten(Model(encoder=Encoder(layers=2)))
    assert list(flat) == [
        "encoder.cell",
        "encoder.hidden_size",
        "encoder.layers",
        "encoder.dropout",
        "attention",
        "tie",
    ]
    assert flat["encoder.layers"] == 2
    assert flat["attention"] is None


def test_differences_name_key_old_and_new() -> None:
    old = build("--model.encoder.cell", "gru", "--train.sizes", "[1]")
    new = build("--model.attention.kind", "dot", "--model.tie", "true")
    assert config.differences(old, new) == [
        "model.encoder.cell: gru -> lstm",
        "model.tie: false -> true",
        "train.sizes: [1] -> [8, 16]",
        "model.attention.kind: none -> dot",
    ]


def test_describe_gives_key_type_default_and_help() -> None:
    rows = {row[0]: row[1:] for row in config.describe(Experiment)}
    assert rows == {
        "model.encoder.cell": ("lstm|gru|rnn", "lstm", "The kind of recurrent cell."),
        "model.encoder.hidden_size": ("int", "64", "Width."),
        "model.encoder.layers": ("int", "1", ""),
        "model.encoder.dropout": ("float", "0.1", ""),
        "model.attention": ("section or none", "none", "How the decoder looks back."),
        "model.attention.kind": ("dot|additive", "additive", ""),
        "model.attention.heads": ("int or none", "none", ""),
        "model.tie": ("bool", "false", ""),
        "train.rate": ("float", "0.001", ""),
        "train.clip": ("float or none", "none", ""),
        "train.sizes": ("list of int", "[8, 16]", ""),
        "train.metrics": ("list of bleu|chrf", "[bleu]", ""),
        "train.depth": ("1|2", "1", ""),
        "train.batch": ("int or auto", "auto", ""),
        "train.switch": ("off|none", "off", ""),
        "data.source": ("str", "required", "The file to read."),
        "data.languages": ("list of str", "[]", ""),
        "data.prefix": ("str or none", "none", ""),
        "name": ("str", "run", ""),
    }


def test_describe_knows_inherited_help_and_odd_defaults() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Longer(Encoder):
        separator: str = "\n"
        """Stands between."""
        limit: float = math.inf

    rows = {row[0]: row[1:] for row in config.describe(Longer)}
    assert rows["hidden_size"] == ("int", "256", "Width.")
    assert rows["separator"] == ("str", r"'\n'", "Stands between.")
    assert rows["limit"] == ("float", "inf", "")


def test_sixty_keys_load_within_a_fifth_of_a_second(tmp_path: Path) -> None:
    kinds: list[tuple[Any, object]] = [(int, 1), (float, 0.5), (str, "a"), (bool, True)]
    kinds += [(Literal["a", "b"], "a"), (tuple[str, ...], ("a",))]
    keys = [(f"key{i}", kind, field(default=value)) for i, (kind, value) in enumerate(kinds)]
    sections: list[Any] = [make_dataclass(f"Section{i}", keys, frozen=True) for i in range(10)]
    whole: Any = make_dataclass(
        "Whole", [(f"part{i}", s, field(default_factory=s)) for i, s in enumerate(sections)]
    )
    path = tmp_path / "sixty.yaml"
    path.write_text(config.dump(whole()))
    start = time.perf_counter()
    built = config.load(whole, path, ["--part3.key1", "2"])
    assert time.perf_counter() - start < 0.2
    assert len(config.flatten(built)) == 60


# Tables, and what was given

SHAPES = {"round": 1, "square": 2}


@dataclass(frozen=True, kw_only=True)
class Tile:
    shape: Annotated[str, OneOf(SHAPES)] = "round"
    """Its outline."""
    others: tuple[Annotated[str, OneOf(SHAPES, "none")], ...] | None = None
    """More outlines."""


def test_names_are_the_keys_that_a_table_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        config.from_mapping(Tile, {"shape": "rund"}, where="a.yaml")
    accepted = "must be one of round, square, got 'rund'; did you mean 'round'?"
    assert str(caught.value) == f"a.yaml: shape: {accepted}"
    monkeypatch.setitem(SHAPES, "oval", 3)
    built = config.from_mapping(Tile, {"shape": "oval"}, ["--others", "[none, oval]"])
    assert built == Tile(shape="oval", others=("none", "oval"))
    assert config.describe(Tile)[0][1] == "round|square|oval"
    with pytest.raises(ConfigError, match=r"^--others: must be list of none\|round\|square\|oval"):
        config.from_mapping(Tile, {}, ["--others", "[rund]"])


def test_it_tells_which_keys_were_given() -> None:
    words = ["--train", "{rate: 0.5, clip: 1}", "--model.encoder.layers=2"]
    found = config.settle(Experiment, {**SOURCE, "model": {"tie": True}}, words)
    keys = {"data.source", "model.tie", "train.rate", "train.clip", "model.encoder.layers"}
    assert found.given == keys


@dataclass(frozen=True, kw_only=True)
class Span:
    from_: str = ""
    """Where it begins."""
    until: str = ""

    def __post_init__(self) -> None:
        require(self.from_ <= self.until, "from", "before until", self.from_)


@dataclass(frozen=True, kw_only=True)
class Spans:
    train: Span = field(default_factory=Span)


def test_words_of_python_are_keys_as_well() -> None:
    span = config.from_mapping(Spans, {"train": {"from": "a", "until": "c"}}, ["--train.from", "b"])
    assert span == Spans(train=Span(from_="b", until="c"))
    assert config.plain(span) == {"train": {"from": "b", "until": "c"}}
    assert config.from_mapping(Spans, config.plain(span)) == span
    assert config.flatten(span) == {"train.from": "b", "train.until": "c"}
    assert config.describe(Spans)[0] == ("train.from", "str", "''", "Where it begins.")
    with pytest.raises(ConfigError, match=r"^config: train\.from: must be before until, got 'd'$"):
        config.from_mapping(Spans, {"train": {"from": "d", "until": "c"}})


# Lists of sections


@dataclass(frozen=True, kw_only=True)
class Source:
    path: str | tuple[str, ...] = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        require(self.path != "", "path", "a file", self.path)


@dataclass(frozen=True, kw_only=True)
class Sources:
    train: Source | tuple[Source, ...] | None = None
    """One, or several."""
    seed: int = 1


A, B = Source(path="a"), Source(path="b", weight=2.0)
TWO = {"train": [{"path": "a"}, {"path": "b", "weight": 2}]}


def sources(mapping: dict[str, Any], *words: str) -> Any:
    return config.from_mapping(Sources, mapping, words).train


def test_one_section_or_a_list_of_them() -> None:
    assert sources({}) is None
    assert sources({"train": {"path": "a"}}) == A
    assert sources(TWO) == (A, B)
    assert sources({"train": [{"path": "a"}]}) == (A,)
    for built in (Sources(train=A), Sources(train=(A, B)), Sources(), Sources(train=(B,))):
        assert config.from_mapping(Sources, config.plain(built)) == built
        assert config.from_mapping(Sources, yaml.load(config.dump(built), Loader)) == built
        assert config.from_mapping(Sources, config.flatten(built)) == built
    assert config.flatten(Sources(train=(A, B))) == {
        "train.0.path": "a",
        "train.0.weight": 1.0,
        "train.1.path": "b",
        "train.1.weight": 2.0,
        "seed": 1,
    }
    changes = config.differences(Sources(train=(A, B)), Sources(train=(A,)))
    assert changes == ["train.1.path: b -> none", "train.1.weight: 2.0 -> none"]
    assert config.describe(Sources)[0] == (
        "train", "section or list of section or none", "none", "One, or several.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mapping", "words", "expected"),
    [
        (TWO, ["--train.1.weight", "3"], (A, Source(path="b", weight=3.0))),
        (TWO, ["--train.0.path=[c, d]", "--train.01.path=e"],
         (Source(path=("c", "d")), Source(path="e", weight=2.0))),
        (TWO, ["--train.2.path", "c"], (A, B, Source(path="c"))),
        (TWO, ["--train", "[{path: c}]"], (Source(path="c"),)),
        (TWO, ["--train", "[{path: c}]", "--train.0.weight", "4"], (Source(path="c", weight=4.0),)),
        (TWO, ["--train", "none"], None),
        ({"train": {"path": "a"}}, ["--train", "[{path: c}, {path: d}]"],
         (Source(path="c"), Source(path="d"))),
        ({}, ["--train.0.path", "a", "--train.1.path", "b", "--train.1.weight", "2"], (A, B)),
        ({}, ["--train.path", "[a]b"], Source(path="[a]b")),
    ],
)  # fmt: skip
def test_overrides_of_a_list(mapping: dict[str, Any], words: list[str], expected: object) -> None:
    assert sources(mapping, *words) == expected


@pytest.mark.parametrize(
    ("mapping", "words", "message"),
    [
        (TWO, ["--train.weight", "3"],
         "--train.weight: train is a list of 2: write train.0.weight for its first, or a list"),
        (TWO, ["--train.3.path", "c"],
         "--train.3: there are only 2 in the list, counted from 0; train.2 would be the next"),
        ({"train": {"path": "a"}}, ["--train.0.weight", "3"],
         "--train.0.weight: train is no list: write train.weight, or all of train as a list"),
        (TWO, ["--train.0.pth", "c"], "--train.0.pth: unknown key; did you mean 'train.0.path'?"),
        (TWO, ["--train.1.weight", "x"], "--train.1.weight: must be float, got 'x'"),
        (TWO, ["--train.1.path", ""], "--train.1.path: must be a file, got ''"),
        (TWO, ["--train", "[a]"],
         "--train.0: must be a section with keys path, weight, got 'a'"),
        ({"train": "a"}, [],
         "config: train: must be a section with keys path, weight, or a list of such sections, "
         "got 'a'"),
        ({"train": [{"path": "a"}, None]}, [], "train.1.path: must be a file, got ''"),
    ],
)  # fmt: skip
def test_refused_lists(mapping: dict[str, Any], words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        sources(mapping, *words)
    assert str(error.value) == message


def test_paths_of_a_list_of_sections() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Place:
        path: PathText | tuple[PathText, ...] = ""

    assert config.paths_of((Place(path="a"), Place(path=("b", "c")), Place())) == ["a", "b", "c"]
