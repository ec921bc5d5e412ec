import argparse
import gzip
import io
import json
import logging
import math
import os
import pty
import random
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import datasets
import pytest
import torch
import yaml

import seq2seq
from seq2seq import __version__, experiment
from seq2seq import config as configuration
from seq2seq.cli import main
from seq2seq.cli.main import make_parser
from seq2seq.cli.verbs import TRAIN, Served, all_verbs
from seq2seq.data.arriving import read_arriving
from seq2seq.device.cores import MOST_THREADS
from seq2seq.nn.linear import Linear, SearchPrecision, linear
from seq2seq.runs.folder import Run
from seq2seq.search.config import SearchConfig
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.task import named
from seq2seq.tasks.translation.commands import pairs_config
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.translator import _warn
from tests.conftest import Ran, tree

SOURCE = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben"]
TARGET = ["one", "two", "three", "four", "five", "six", "seven"]
CONFIG = """\
folder: run
data:
  cache: cache
  train: {source: train.de, target: train.en}
  valid: {source: valid.de, target: valid.en}
  test: {source: test.de, target: test.en}
source: {tokenizer: word, vocab_size: 0}
target: {tokenizer: word, vocab_size: 0}
model:
  embedding_size: 8
  encoder: {hidden_size: 8}
  decoder: {hidden_size: 8}
train: {steps: 6, epochs: 0, validate_every: 2, threads: 1, precision: float32}
search: {max_length: 8}
"""
TEXT = "the cat sat. the dog ran.\n"
TEXT_CONFIG = """\
task: language-model
folder: lm
data:
  cache: cache
  train: {files: [text.txt]}
  valid: {files: [text.txt], share: [0, 0.1]}
  batch: {rows: 4, steps: 16}
model: {embedding_size: 8, layers: {hidden_size: 8, layers: 1}}
train: {steps: 4, epochs: 0, threads: 1, precision: float32}
validation: {sample: 0, window: 0}
"""
MOST = max(MOST_THREADS, 8 * (os.cpu_count() or 1))
TOO_FEW_THREADS = f"--threads: must be 0 (as many as there are cores) to {MOST}, got -1"
COMMAND = [sys.executable, "-m", "seq2seq.cli"]


def write_corpus(folder: Path) -> None:
    draw = random.Random(1)
    for name, count in (("train", 40), ("valid", 8), ("test", 8)):
        rows = [[draw.randrange(7) for _ in range(draw.randint(1, 5))] for _ in range(count)]
        for suffix, words in (("de", SOURCE), ("en", TARGET)):
            lines = [" ".join(words[index] for index in row) + "\n" for row in rows]
            (folder / f"{name}.{suffix}").write_text("".join(lines))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with corpora, files of all kinds of bad input, and tiny trained runs."""
    folder = tmp_path_factory.mktemp("cli")
    write_corpus(folder)
    train = (folder / "train.de").read_bytes()
    for name, content in {
        "config.yaml": CONFIG.encode(),
        "text.yaml": TEXT_CONFIG.encode(),
        "text.txt": TEXT.encode() * 40,
        "poem.yaml": b"task: language-modle\n",
        "short.tsv": b"a\tb\tc\nd\te\tf\ng\n",
        "named.tsv": b"word\tsound\na\tb\n",
        "empty.yaml": b"",
        "list.yaml": b"- a\n",
        "broken.yaml": b"model: [1\n",
        "latin.yaml": "folder: café".encode("latin-1"),
        "key.yaml": b"model: {encoder: {cel: gru}}\n",
        "empty.de": b"",
        "blank.de": b"\n" * 40,
        "latin.de": b"gut\n" * 5 + b"sch\xf6n\n" + b"gut\n" * 34,
        "utf16.de": train.decode().encode("utf-16"),
        "odd.de": b"\xef\xbb\xbf" + train.replace(b"\n", b"\r\n").replace(b"drei", b"dr\0ei")
        .replace(b"vier", "vi\u2028er".encode()),
        "mixed.de": b"eins zwei\n\nf\xc3\xbcnf\r\n drei vier",
        "invalid.de": b"eins\nzw\xffei\n",
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)
    (folder / "test.de.gz").write_bytes(gzip.compress((folder / "test.de").read_bytes()))
    (folder / "cut.gz").write_bytes(gzip.compress(train)[:-20])
    (folder / "other").mkdir()
    (folder / "other" / "file").touch()
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "config.yaml"]) == 0
        assert main(["train", "text.yaml"]) == 0
    finally:
        os.chdir(before)
        forget_log()
    return folder


def forget_log() -> None:
    """Takes back what the command line does to the log: its stream lives as long as one test."""
    log = logging.getLogger("seq2seq")
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _inside(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    forget_log()


# --- train: the configuration


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("confg.yaml", "confg.yaml: no such file; did you mean 'config.yaml'?"),
        (
            "empty.yaml",
            "data.train: is required; give data.train.source and data.train.target, or "
            "data.train.path",
        ),
        ("other", "other: is a directory; a YAML file is expected"),
        ("list.yaml", "list.yaml: must be a mapping of keys to values, got ['a']"),
        (
            "broken.yaml",
            "broken.yaml: line 2, column 1: expected ',' or ']', but got '<stream end>'",
        ),
        ("latin.yaml", "latin.yaml: line 1: not UTF-8 at byte 11"),
        (
            "key.yaml",
            "key.yaml: model.encoder.cel: unknown key; did you mean 'model.encoder.cell'?",
        ),
        (
            "config.yaml --model.encoder.cel gru",
            "--model.encoder.cel: unknown key; did you mean 'model.encoder.cell'?",
        ),
        (
            "config.yaml --model.encoder.cell gruu",
            "--model.encoder.cell: must be one of lstm, gru, rnn, sru, mingru, lstm-ln, rnn-ln, "
            "got 'gruu'; did you mean 'gru'?",
        ),
        (
            "config.yaml --model.embedding_size wide",
            "--model.embedding_size: must be int, got 'wide'",
        ),
        (
            "config.yaml --model.encoder.dropout 1.5",
            "--model.encoder.dropout: must be in [0, 1), got 1.5",
        ),
        ("config.yaml --model.encoder.cell", "--model.encoder.cell: needs a value; write "
         "--model.encoder.cell VALUE"),
        ("config.yaml extra", "extra: unexpected argument; see `seq2seq train --help`"),
        ("", "the following arguments are required: CONFIG; see `seq2seq train --help`"),
        (
            "config.yaml --folder other",
            "folder: other holds other things and no config.yaml; name a new or a run's folder",
        ),
        (
            "config.yaml --folder train.de",
            "folder: train.de is a file; name a new or a run's folder",
        ),
        (
            "config.yaml --folder train.de/run",
            "folder: train.de/run cannot be made (Not a directory)",
        ),
    ],
)  # fmt: skip
def test_train_refuses_configurations(words: str, message: str, refused: Ran) -> None:
    assert refused(f"train {words}") == message


# --- train: the corpora


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train.source trian.de", "trian.de does not exist; did you mean 'train.de'?"),
        ("train.source other", "other is a directory; a file is needed"),
        ("train.source empty.de", "empty.de is empty; at least one line is needed"),
        ("valid.source empty.de", "empty.de is empty; at least one line is needed"),
        (
            "train.source valid.de",
            "valid.de has 8 lines, train.en 40; each line needs its translation",
        ),
        (
            "train.source latin.de",
            "latin.de: line 6: byte 0xf6 at offset 23 is not UTF-8; convert the file with iconv, "
            "or read it with errors=replace",
        ),
        ("train.source utf16.de", "utf16.de looks like UTF-16, run iconv -f UTF-16 -t UTF-8 on it"),
        (
            "train.source blank.de",
            "blank.de, train.en: every source text is blank; text is needed",
        ),
        (
            "filters.max_ratio 1 --source.tokenizer char --data.filters.max_source_length 1",
            "train.de, train.en: no pair is left, 40 dropped (40 too long)",
        ),
        (
            "cache cache --source.tokenizer bpe --source.vocab_size 5",
            "source.vocab_size: must be at least 271, room for all characters of the training text "
            "and 256 bytes, got 5; or lower source.character_coverage",
        ),
    ],
)
def test_train_refuses_corpora(words: str, message: str, refused: Ran) -> None:
    assert refused(f"train config.yaml --folder new --data.{words}") == message


def test_a_vocabulary_too_large_is_lowered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "train config.yaml --train.steps 2 --source.tokenizer bpe --source.vocab_size 5000"
    assert main([*words.split(), "--folder", str(tmp_path / "run")]) == 0
    lowered = "source.vocab_size: lowered from 5000 to 330, all that the training text allows"
    assert capsys.readouterr().err.splitlines()[0] == lowered


def test_odd_characters_stay_in_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "train config.yaml --train.steps 2 --data.train.source odd.de --folder"
    assert main([*words.split(), str(tmp_path / "run")]) == 0
    assert " NUL characters by U+FFFD" in capsys.readouterr().err
    vocabulary = {
        word
        for path in (tmp_path / "run" / "pipeline" / "source").iterdir()
        for word in path.read_text(encoding="utf-8").replace('"', " ").split()
    }
    assert {"eins", "fünf"} <= vocabulary


def test_the_hub_out_of_reach(refused: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nmore")

    Path("hub.yaml").write_text("folder: new\ndata: {train: {path: someone/pairs}}\n")
    for name, verb in (("load_dataset_builder", "train"), ("load_dataset", "data check")):
        monkeypatch.setattr(datasets, name, offline)
        assert refused(f"{verb} hub.yaml") == (
            "someone/pairs is not reachable (ConnectionError: no route); set path to a local copy, "
            "or source and target to two text files"
        )


def test_a_folder_of_datasets(tmp_path: Path, ran: Ran) -> None:
    lines = (Path(f"train.{suffix}").read_text().splitlines() for suffix in ("de", "en"))
    columns = dict(zip(("source", "target"), lines, strict=True))
    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "pairs"))
    settings = yaml.safe_load(CONFIG)
    settings["data"]["train"] = {"path": str(tmp_path / "pairs")}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    out = ran(f"train {tmp_path}/config.yaml --folder {tmp_path}/run --train.steps 2")
    assert out.startswith(f"{tmp_path}/run: best at step 2: valid_loss ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("short.tsv", "short.tsv: line 3: has 1 of the 2 columns needed; tabs part them"),
        (
            "short.tsv --data.train.source_column 0 --data.train.target_column 3",
            "short.tsv: line 1: has 3 of the 4 columns needed; tabs part them",
        ),
        (
            "named.tsv --data.train.source_column word --data.train.target_column sond",
            "named.tsv: line 1: has no column sond; found word, sound; did you mean 'sound'?",
        ),
    ],
)
def test_train_refuses_tables_without_the_columns(words: str, message: str, refused: Ran) -> None:
    sides = "--data.train.source none --data.train.target none"
    line = f"train config.yaml --folder new {sides} --data.train.path {words}"
    assert refused(line) == message


# --- train: again


def test_a_changed_configuration_is_told_key_by_key(refused: Ran) -> None:
    text = refused("train config.yaml --model.encoder.hidden_size 16 --train.seed 3")
    assert text.startswith(
        "run was begun with another configuration (model.encoder.hidden_size: 8 -> 16; "
        "train.seed: 1 -> 3); undo the change, or name a new folder with --folder"
    )


def test_other_data_are_told(refused: Ran) -> None:
    words = "--data.train.source test.de --data.train.target test.en"
    assert "data.train: other content" in refused(f"train config.yaml {words}")


def test_a_limit_may_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("run", tmp_path / "run")
    assert main(["train", "--train.steps", "8", "config.yaml", "--folder", f"{tmp_path}/run"]) == 0
    found = capsys.readouterr()
    assert "changed: train.steps: 6 -> 8\n" in found.err
    assert f"{tmp_path}/run: best at step " in found.out


def test_a_run_whose_scores_are_gone_says_what_it_still_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(experiment, "train", lambda *given, **named: Run(tmp_path, {}, []))
    assert main(["train", "config.yaml"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: trained\n"


def test_a_test_set_may_come_go_and_change(tmp_path: Path, ran: Ran) -> None:
    settings = yaml.safe_load(CONFIG)
    test = settings["data"].pop("test")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    shutil.copytree("run", tmp_path / "run")
    words = f"train {tmp_path}/config.yaml --folder {tmp_path}/run"
    ran(words, says="changed: data.test.source: test.de -> none\n")
    both = "".join(f" --data.test.{side} {file}" for side, file in test.items())
    ran(words + both, says="changed: data.test.source: none -> test.de\n")
    assert len(ran(f"evaluate {tmp_path}/run").splitlines()) == 4
    ran(words + both.replace(" test.", " valid."), says="changed: data.test.source: test.de -> v")


def test_a_dry_run_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = tree()
    assert main(["train", "config.yaml", "--dry-run", "--folder", "new"]) == 0
    assert tree() == before
    found = capsys.readouterr()
    assert found.out == ""
    last = found.err.splitlines()[-1]
    assert last == "dry run: two updates, validation, save, load and use work"


def test_an_unnamed_run_is_named_after_its_folder(tmp_path: Path, ran: Ran) -> None:
    (tmp_path / "numbers").mkdir()
    os.chdir(tmp_path / "numbers")
    write_corpus(Path())
    Path("config.yaml").write_text(CONFIG.replace("folder: run\n", ""))
    assert ran("train config.yaml --train.steps 1").startswith("runs/numbers: best at step 1: ")


# --- translate


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "other test.de",
            "other: is not a run folder; expected a folder with config.yaml that `seq2seq train` "
            "wrote",
        ),
        (
            "config.yaml test.de",
            "config.yaml: is not a run folder; expected a folder with config.yaml that `seq2seq "
            "train` wrote",
        ),
        (
            "rnu test.de",
            "rnu: does not exist; expected a folder with config.yaml that `seq2seq train` wrote; "
            "did you mean 'run'?",
        ),
        ("run tset.de", "tset.de does not exist; did you mean 'test.de'?"),
        ("run other", "other is a directory; a file is needed"),
        ("run empty.de", "empty.de is empty; at least one line is needed"),
        (
            "run invalid.de",
            "invalid.de: line 2: byte 0xff at offset 7 is not UTF-8; convert the file with iconv, "
            "or read it with errors=replace",
        ),
        (
            "run test.de --n-best 3",
            "--n-best: must be 1 where --format is text, or use --format jsonl",
        ),
        ("run test.de --format jsonl --n-best 0", "--n-best: must be at least 1, got 0"),
        ("run test.de --beam-size 0", "--beam-size: must be at least 1, got 0"),
        ("run test.de --length-penalty -1", "--length-penalty: must be at least 0, got -1.0"),
        ("run test.de --min-length -1", "--min-length: must be at least 0, got -1"),
        ("run test.de --no-repeat-ngram -1", "--no-repeat-ngram: must be at least 0, got -1"),
        ("run test.de --batch-size 0", "--batch-size: must be at least 1, got 0"),
        (
            "run test.de --threads -1",
            TOO_FEW_THREADS,
        ),
        (
            "run test.de --beam-size x",
            "argument --beam-size: invalid int value: 'x'; see `seq2seq translate --help`",
        ),
        (
            "run test.de --format jsonlines",
            "--format: must be one of text, jsonl, tsv, tsv-swapped, got 'jsonlines'; did you mean "
            "'jsonl'?",
        ),
        (
            "run test.de --checkpoint bset",
            "run/checkpoints: no checkpoint 'bset'; accepted: best, last, step-0000006, "
            "step-0000004, step-0000002",
        ),
        ("run test.de --output no/out", "no/out: cannot be written (No such file or directory)"),
        ("run test.de --output other", "other is a directory; a file is needed"),
        ("run test.de --output test.de/x", "test.de/x: cannot be written (Not a directory)"),
        (
            "run test.de latin.de --output out",
            "latin.de: line 6: byte 0xf6 at offset 23 is not UTF-8; convert the file with iconv, "
            "or read it with errors=replace",
        ),
        (
            "run test.de --beamsize 3",
            "--beamsize: unexpected argument; did you mean '--beam-size'?; see `seq2seq translate "
            "--help`",
        ),
    ],
)
def test_translate_refuses(words: str, message: str, refused: Ran) -> None:
    assert refused(f"translate {words}") == message


def test_one_line_out_for_each_line_in(ran: Ran) -> None:
    lines = ran("translate run mixed.de --min-length 1").split("\n")
    assert len(lines) == 5
    assert [not line for line in lines] == [False, True, False, False, True]


def test_files_may_follow_options_and_the_order_is_kept(ran: Ran, tmp_path: Path) -> None:
    whole = ran("translate run test.de valid.de")
    assert ran("translate --beam-size 5 run --batch-size 1 test.de.gz valid.de") == whole
    assert ran("translate run test.de") + ran("translate run valid.de") == whole
    assert ran(f"translate run test.de valid.de --output {tmp_path}/out") == ""
    assert (tmp_path / "out").read_text(encoding="utf-8") == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_device_is_written_to_and_not_replaced(ran: Ran) -> None:
    assert ran("translate run test.de --output /dev/null") == ""
    assert not Path("/dev/null").is_file()


def test_a_dash_is_standard_output(ran: Ran) -> None:
    assert ran("translate run test.de --output -") == ran("translate run test.de")
    assert not Path("-").exists()


def test_standard_output_by_its_name_is_not_replaced(tmp_path: Path, ran: Ran) -> None:
    expected = ran("translate run test.de")
    log = tmp_path / "log"
    log.write_text("written before\n")
    command = [sys.executable, "-m", "seq2seq.cli", "translate", "run", "test.de"]
    with log.open("a") as file:
        subprocess.run([*command, "--output", "/dev/stdout"], stdout=file, check=True)
    assert log.read_text(encoding="utf-8") == f"written before\n{expected}"


def test_a_full_disk(refused: Ran) -> None:
    message = "/dev/full: cannot be written (No space left on device)"
    assert refused("translate run test.de --output /dev/full", code=74) == message


def test_invalid_bytes_may_be_replaced(ran: Ran) -> None:
    assert len(ran("translate run invalid.de --errors replace").splitlines()) == 2


def test_jsonl_tells_everything(ran: Ran) -> None:
    rows = [
        json.loads(line)
        for line in ran("translate run mixed.de --format jsonl --n-best 3").splitlines()
    ]
    assert [row["source"] for row in rows] == ["eins zwei", "", "fünf", " drei vier"]
    best = ran("translate run mixed.de").splitlines()
    assert [row["hypotheses"][0]["text"] for row in rows] == best
    for row in (rows[0], *rows[2:]):
        scores = [one["score"] for one in row["hypotheses"]]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 3
        for one in row["hypotheses"]:
            assert set(one) == {"text", "score", "tokens", "alignment", "word_alignment"}
            assert len(one["alignment"]) == len(one["tokens"])
            assert all(0 <= place < len(row["source_tokens"]) for place in one["alignment"])


def test_a_huge_line_is_cut_and_the_others_stay_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "long").write_text("eins\n" + "zwei " * 50_000 + "\nfünf\n")
    words = ["translate", "run", str(tmp_path / "long"), "--beam-size", "1"]
    assert main(words) == 0
    found = capsys.readouterr()
    assert found.err == (
        "1 of 3 texts longer than 1,000 tokens are cut there; the first begins "
        "'zwei zwei zwei zwei zwei zwei zwei zwei '\n"
    )
    short = tmp_path / "short"
    short.write_text("eins\nfünf\n")
    assert main(["translate", "run", str(short), "--beam-size", "1"]) == 0
    lines = found.out.splitlines()
    assert [lines[0], lines[2]] == capsys.readouterr().out.splitlines()


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree("run", tmp_path / "run")
    model = tmp_path / "run" / "checkpoints" / "step-0000006" / "model.safetensors"
    size = model.stat().st_size
    model.write_bytes(model.read_bytes()[:100])
    assert main(["translate", f"{tmp_path}/run", "test.de"]) == 0
    found = capsys.readouterr()
    assert found.err == (
        f"checkpoint step-0000006 is damaged (model.safetensors: expected {size:,} bytes, "
        "found 100); using step-0000004\n"
    )
    assert len(found.out.splitlines()) == 8


def test_standard_input() -> None:
    text = Path("mixed.de").read_bytes()
    done = subprocess.run([*COMMAND, "translate", "run"], input=text, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 4


def test_a_reader_that_has_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert main(["config", "translation", "train"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [b"", None])
def test_no_standard_input(
    content: bytes | None, refused: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = None if content is None else io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stream)
    assert refused("translate run") == (
        "standard input is closed; give a file, or text through a pipe"
        if content is None
        else "standard input is empty; at least one line is needed"
    )


def test_a_conversation_line_by_line() -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "translate", "run", "--beam-size", "1"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        assert process.stdout is not None
        for text in ("eins zwei\n", "fünf\n"):
            os.write(ours, text.encode())
            assert process.stdout.readline().endswith(b"\n")
        os.write(ours, b"\x04")
        assert process.wait(20) == 0
    os.close(ours)


LIST = '{"source": "eins", "hypotheses": [{"text": "one", "score": -1}]}'
"""An n-best list."""
STREAMED = {
    "translate run --beam-size 1": ("eins zwei", "", "fünf"),
    "translate run --format jsonl --n-best 2 --batch-size 1": ("eins zwei", "fünf"),
    "score-pairs run --batch-size 1": ("eins zwei\tone two", "", "fünf\tfive"),
    "rerank": (LIST, LIST),
    "tokenizer encode run/pipeline/source": ("eins zwei", "", "fünf"),
    "tokenizer encode run/pipeline/source --format ids": ("eins zwei", "fünf"),
    "tokenizer decode run/pipeline/target": ("4 5", "", "6"),
}
"""Verbs that answer line by line, and lines for them."""
READ_WHOLE = {"score", "tokenizer train", "data clean"}
"""Verbs whose answer needs the last line."""


def test_every_verb_that_reads_a_pipe_is_tried() -> None:
    found = set()
    for name, served in all_verbs().items():
        parser = argparse.ArgumentParser()
        served[0].verb.options(parser)
        if any("- is a pipe" in (action.help or "") for action in parser._actions):
            found.add(name)
    tried = {name for name in found for words in STREAMED if f"{words} ".startswith(f"{name} ")}
    assert found == tried | READ_WHOLE
    assert not tried & READ_WHOLE


@pytest.mark.parametrize("words", STREAMED)
def test_an_open_pipe_is_answered_line_by_line(
    words: str, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lines"
    file.write_text("".join(f"{line}\n" for line in STREAMED[words]))
    expected = ran(f"{words} {file}").splitlines()
    (theirs, ours), (answers, answering) = os.pipe(), os.pipe()
    got: list[str] = []

    def talk() -> None:
        with open(answers, encoding="utf-8") as stream, open(ours, "wb", buffering=0) as pipe:
            for line in STREAMED[words]:
                pipe.write(f"{line}\n".encode())
                if select.select([stream], [], [], 20)[0]:
                    got.append(stream.readline().removesuffix("\n"))

    talking = threading.Thread(target=talk)
    talking.start()
    with open(theirs) as stdin, open(answering, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(shlex.split(words)) == 0
    talking.join()
    assert got == expected


def test_a_process_that_waits_for_a_line_can_be_stopped() -> None:
    with subprocess.Popen(
        [*COMMAND, "translate", "run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for line in (b"eins zwei\n", b"drei\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b"seq2seq: stopped by SIGINT\n"


def test_a_reader_that_leaves_an_open_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (theirs, ours), (reader, answering) = os.pipe(), os.pipe()
    os.close(reader)
    os.write(ours, b"eins\n")
    with open(theirs) as stdin, open(answering, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["tokenizer", "encode", "run/pipeline/source"]) == 0
        os.close(ours)
    assert capsys.readouterr().err == ""


def test_draws_do_not_depend_on_when_lines_arrive(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = seq2seq.Translator.load("run")
    drawn = SearchConfig(strategy="sampling", max_length=8, seed=3)
    lines = Path("test.de").read_text(encoding="utf-8").splitlines()
    expected = [one.text for one in translator(lines, search=drawn)]
    translator.search = drawn
    monkeypatch.setattr(
        "seq2seq.tasks.translation.commands._translator", lambda options: translator
    )
    for most in (1, 3, 2000):
        monkeypatch.setattr(
            "seq2seq.tasks.translation.commands.read_arriving",
            lambda files, errors, most=most: read_arriving(files, errors, most),
        )
        assert ran("translate run test.de").splitlines() == expected


# --- translate --split


@pytest.fixture
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for sentencex."""

    def segment(language: str, text: str) -> list[str]:
        return re.findall(r"[^.]*\. *|[^.]+", text)

    monkeypatch.setitem(sys.modules, "sentencex", types.SimpleNamespace(segment=segment))


@pytest.mark.usefixtures("_library")
def test_sentences_of_a_line_stay_in_their_line(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("eins zwei. drei.\n\nvier\n fünf.  sechs.\n")
    (tmp_path / "sentences").write_text("eins zwei.\ndrei.\nvier\nfünf.\nsechs.\n")
    one, two, three, four, five = ran(f"translate run {tmp_path}/sentences").splitlines()
    found = ran(f"translate run {tmp_path}/text --split sentences --language de").splitlines()
    assert found == [f"{one} {two}", "", three, f" {four}  {five}"]
    rows = ran(f"translate run {tmp_path}/text --split sentences --format jsonl --n-best 2")
    assert [json.loads(row)["hypotheses"][0]["text"] for row in rows.splitlines()] == found


def test_lines_of_several_sentences_are_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _warn.cache_clear()
    (tmp_path / "text").write_text("eins\n" + "eins zwei. Drei vier.\n" * 4)
    monkeypatch.setattr(
        "seq2seq.tasks.translation.commands.read_arriving",
        lambda files, errors: read_arriving(files, errors, 1),
    )
    assert main(["translate", "run", str(tmp_path / "text")]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "several" in line]
    assert told == [
        "some texts hold several sentences, and are translated as if they were one; of the texts "
        "that the model has learned from, 0.0 % do. `translate --split sentences` (in Python: "
        "split='sentences') translates each sentence by itself"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--split sentences",
            "--split: sentences need sentencex: pip install 'seq2seq-toolkit[sentences]'",
        ),
        ("--language de", "--language: must be left out where --split is not given"),
        (
            "--split sentence",
            "--split: must be one of sentences, got 'sentence'; did you mean 'sentences'?",
        ),
    ],
)
def test_splitting_refuses(
    words: str, message: str, refused: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentencex", None)
    assert refused(f"translate run test.de {words}") == message


# --- generate


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--prompt ''",
            "--prompt: is empty; give some text, or leave it out to begin as documents begin",
        ),
        (
            "--prompt 'the käse'",
            "--prompt: the vocabulary lacks 'k' (U+006B), 'ä' (U+00E4); leave out what it lacks, "
            "or read it as unknown with --unknown replace (in Python: unknown='replace')",
        ),
        ("--temperature -0.5", "--temperature: must be at least 0, got -0.5"),
        ("--temperature inf", "--temperature: must be finite, got inf"),
        ("--temperature nan", "--temperature: must be finite, got nan"),
        ("--top-p 0", "--top-p: must be in (0, 1], got 0.0"),
        ("--top-p 1.5", "--top-p: must be in (0, 1], got 1.5"),
        ("--top-k -1", "--top-k: must be at least 0, got -1"),
        ("--min-p 1", "--min-p: must be in [0, 1), got 1.0"),
        ("--typical 0", "--typical: must be in (0, 1], got 0.0"),
        ("--repetition-penalty 0.5", "--repetition-penalty: must be at least 1, got 0.5"),
        ("--repetition-window 0", "--repetition-window: must be at least 1, got 0"),
        ("--length 0", "--length: must be at least 1, got 0"),
        ("--samples 0", "--samples: must be at least 1, got 0"),
        ("--stop ''", "--stop: must be not empty, got ''"),
        ("--stop b --stop ''", "--stop: must be not empty, got ''"),
        ("--seed -1", "--seed: must be at least 0, got -1"),
        ("--threads -1", TOO_FEW_THREADS),
        ("--output other", "other is a directory; a file is needed"),
        ("--output no/out", "no/out: cannot be written (No such file or directory)"),
        (
            "--checkpoint 7",
            "lm/checkpoints: no checkpoint '7'; accepted: best, last, step-0000004",
        ),
        (
            "--unknown replce",
            "--unknown: must be one of refuse, replace, got 'replce'; did you mean 'replace'?",
        ),
        (
            "--length x",
            "argument --length: invalid int value: 'x'; see `seq2seq generate --help`",
        ),
        (
            "--temprature 1",
            "--temprature: unexpected argument; did you mean '--temperature'?; see `seq2seq "
            "generate --help`",
        ),
    ],
)
def test_generate_refuses(words: str, message: str, refused: Ran) -> None:
    assert refused(f"generate lm {words}") == message
    assert refused(f"generate lm --format jsonl {words}") == message


def test_verbs_of_other_tasks(refused: Ran) -> None:
    assert refused("generate run") == (
        "run: its task is translation, which has no `generate`; it has translate, evaluate, "
        "score-pairs, rerank, compare, data check, data clean"
    )
    assert refused("translate lm test.de") == (
        "lm: its task is language-model, which has no `translate`; it has evaluate, generate"
    )
    assert refused("translate run test.de --ensemble lm") == (
        "lm: its task is language-model, which cannot be used here; seq2seq.load loads any run"
    )
    assert refused("data check text.yaml") == (
        "text.yaml: its task is language-model, which has no `data check`; it has evaluate, "
        "generate"
    )
    assert refused("train poem.yaml") == (
        f"poem.yaml: task: must be one of {', '.join(TASKS)}, got "
        "'language-modle'; did you mean 'language-model'?"
    )


def test_the_same_seed_generates_the_same(ran: Ran, tmp_path: Path) -> None:
    words = "generate lm --prompt 'the ' --length 30 --no-end --seed 1"
    text = ran(words)
    assert text.startswith("the ")
    assert len(text) == 4 + 30 + 1
    assert ran(words) == text
    assert ran(f"{words} --output {tmp_path}/out") == ""
    assert (tmp_path / "out").read_text(encoding="utf-8") == text
    assert ran(words.replace("--seed 1", "--seed 2")) != text
    several = ran(f"{words} --samples 3")
    first, *others = several.split("-" * 40 + "\n")
    assert first == text
    assert len(others) == 2


def test_a_seed_that_was_drawn_is_told(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "lm", "--length", "40", "--no-end"]) == 0
    found = capsys.readouterr()
    told = [line for line in found.err.splitlines() if line.startswith("seed ")]
    assert len(told) == 1
    assert ran(f"generate lm --length 40 --no-end --{told[0]}") == found.out


def test_a_stop_text_is_one_word_of_the_command(ran: Ran) -> None:
    words = "--length 200 --no-end --seed 1"
    expected = ran(f"generate lm {words}").partition("e")[0] + "\n"
    assert ran(f"generate --stop e lm {words}") == expected
    assert ran(f"generate lm {words} --stop e --stop zzz") == expected


def test_unknown_characters_may_be_replaced(ran: Ran) -> None:
    words = "--unknown replace --length 9 --no-end --temperature 0"
    text = ran(f"generate lm --prompt 'the käse' {words}")
    assert text.startswith("the käse")
    assert len(text) == 8 + 9 + 1


def test_records_of_samples(ran: Ran) -> None:
    words = "generate lm --prompt 'the ' --length 12 --seed 5 --format jsonl"
    rows = [json.loads(line) for line in ran(f"{words} --samples 10").splitlines()]
    assert [row["number"] for row in rows] == list(range(10))
    for row in rows:
        assert set(row) == {"prompt", "text", "seed", "number", "ending"}
        assert (row["prompt"], row["seed"]) == ("the ", 5)
        assert (row["ending"] == "length") == (len(row["text"]) == 12)
    assert [json.loads(line) for line in ran(words).splitlines()] == rows[:1]
    stopped = json.loads(
        ran(f"{words} --stop . --stop t --stop e --stop ' ' --stop a --length 200 --no-end")
    )
    assert stopped["ending"] == "stop"
    assert not set(stopped["text"]) & set(".te a")


# --- eight bits


def test_verbs_pass_the_precision_on(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    def packed(
        weight: torch.Tensor, precision: SearchPrecision, *, bounded: bool = False
    ) -> Linear:
        asked.add(precision)
        return linear(weight, precision, bounded=bounded)

    monkeypatch.setattr("seq2seq.nn.kernel_cells.linear", packed)
    for line in (
        "translate run test.de",
        "evaluate run",
        "score-pairs run --source test.de --target test.en",
        "generate lm --length 9 --no-end",
    ):
        for precision in ("float32", "int8"):
            asked.clear()
            assert ran(f"{line} --precision {precision}")
            assert asked == {precision}


# --- evaluate and score


def test_evaluate_and_score_agree(ran: Ran, tmp_path: Path) -> None:
    table = ran(f"evaluate run --output {tmp_path}/out")
    assert [line.split()[0] for line in table.splitlines()] == ["metric", "BLEU", "chrF2", "exact"]
    found = json.loads(ran("evaluate run --format json --metrics bleu chrf exact"))
    words = "--reference test.en --metrics bleu chrf exact --format json"
    assert json.loads(ran(f"score {tmp_path}/out {words}")) == found
    assert set(found[0]) == {"name", "value", "signature"}
    own = ran("evaluate run --source test.de --reference test.en --format json")
    assert json.loads(own) == found
    sides = zip(
        *(Path(name).read_text().splitlines() for name in ("test.de", "test.en")), strict=True
    )
    (tmp_path / "test.tsv").write_text("".join(f"{left}\t{right}\n" for left, right in sides))
    assert json.loads(ran(f"evaluate run --pairs {tmp_path}/test.tsv --format json")) == found
    lines = (tmp_path / "test.tsv").read_text().splitlines()
    turned = ["en\tde", *("\t".join(line.split("\t")[::-1]) for line in lines)]
    (tmp_path / "turned.tsv").write_text("\n".join(turned) + "\n")
    columns = "--source-column de --target-column en --format json"
    assert json.loads(ran(f"evaluate run --pairs {tmp_path}/turned.tsv {columns}")) == found


@pytest.fixture
def piped() -> Iterator[Callable[[bytes], str]]:
    """Gives a pipe, by the name that a shell gives it, with something in it."""
    ends = []

    def pipe(content: bytes) -> str:
        out, into = os.pipe()
        os.write(into, content)
        os.close(into)
        ends.append(out)
        return f"/dev/fd/{out}"

    yield pipe
    for end in ends:
        os.close(end)


def test_pipes_where_files_are_read_twice(
    ran: Ran, piped: Callable[[bytes], str], tmp_path: Path
) -> None:
    evaluate = "evaluate run --source {} --reference {} --format json"
    sides = [piped(Path(f"test.{side}").read_bytes()) for side in ("de", "en")]
    assert ran(evaluate.format(*sides)) == ran(evaluate.format("test.de", "test.en"))
    assert ran(f"data check {piped(CONFIG.encode())}") == ran("data check config.yaml")
    ran(f"train {piped(CONFIG.encode())} --folder {tmp_path}/run --dry-run", says="dry run: ")


@pytest.mark.parametrize(
    ("path", "columns"),
    [("test.tsv", ("1", "0")), ("test.jsonl", ("source", "target")), ("other.tsv.gz", ("1", "0"))],
)
def test_pairs_are_read_with_the_columns_of_the_runs_own_files(
    path: str, columns: tuple[str, str]
) -> None:
    own = {"path": "train.tsv", "source_column": "1", "target_column": "0", "limit": 5}
    config = configuration.from_mapping(TranslationConfig, {"data": {"train": own}, "folder": "x"})
    words = argparse.Namespace(run="x", pairs=path, source_column=None, target_column=None)
    found = pairs_config(words, config)
    assert (found.path, found.limit) == (path, 0)
    assert (found.source_column, found.target_column) == columns
    words.source_column = "9"
    assert pairs_config(words, config).source_column == "9"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "evaluate run --source test.de",
            "--source: must come with --reference, and the other way round",
        ),
        (
            "evaluate run --source test.de --reference train.en",
            "test.de has 8 lines, train.en 40; each line needs its translation",
        ),
        (
            "evaluate run --pairs short.tsv --source test.de --reference test.en",
            "--pairs: must be left out where --source and --reference are given",
        ),
        (
            "evaluate run --source test.de --reference test.en --target-column 2",
            "--target-column: must be left out where --pairs is not given",
        ),
        (
            "evaluate run --pairs test.de",
            "--pairs: must be named *.tsv, *.csv, *.jsonl, *.ndjson, *.parquet, *.arrow, *.feather "
            "(text: .gz too), or be a folder of datasets, got 'test.de'",
        ),
        (
            "evaluate run --pairs shrt.tsv",
            "shrt.tsv does not exist; did you mean 'short.tsv'?",
        ),
        (
            "evaluate run --metrics blue",
            "--metrics: must be one of bleu, chrf, chrf++, ter, exact, wer, per, cer, comet, got "
            "'blue'; did you mean 'bleu'?",
        ),
        (
            "evaluate run --text text.txt",
            "--text: is for language-model; run is a run of translation, see `seq2seq evaluate "
            "run --help`",
        ),
        ("evaluate run --mistakes -1", "--mistakes: must be at least 0, got -1"),
        (
            "evaluate run --mistakes 3 --format json",
            "--mistakes: must be 0 where --format is json, or use --format table",
        ),
        (
            "evaluate run --mistakes 3 --lowercase",
            "--mistakes: must be 0 where --lowercase is given; they count case",
        ),
        (
            "evaluate run --window 5",
            "--window: is for language-model; run is a run of translation, see `seq2seq evaluate "
            "run --help`",
        ),
        (
            "evaluate lm --beam-size 3",
            "--beam-size: is for translation, transduction; lm is a run of language-model, see "
            "`seq2seq evaluate lm --help`",
        ),
        (
            "evaluate lm --lowercase",
            "--lowercase: is for translation, transduction; lm is a run of language-model, see "
            "`seq2seq evaluate lm --help`",
        ),
        *(
            (
                f"evaluate lm --{words}",
                f"--{words.split()[0]}: is for translation, transduction; lm is a run of "
                "language-model, see `seq2seq evaluate lm --help`",
            )
            for words in (
                "source test.de --reference test.en",
                "reference test.en",
                "pairs short.tsv",
                "output out",
                "ensemble lm",
                "mistakes 3",
                "batch-size 64",
                "precision int8",
            )
        ),
        (
            "evaluate lm --metrics bleu",
            "--metrics: is for translation, transduction, forecasting; lm is a run of "
            "language-model, see `seq2seq evaluate lm --help`",
        ),
        (
            "evaluate rnu --metrics mse",
            "rnu: does not exist; expected a folder with config.yaml that `seq2seq train` wrote; "
            "did you mean 'run'?",
        ),
        (
            "evaluate run --documents line",
            "--documents: is for language-model; run is a run of translation, see `seq2seq "
            "evaluate run --help`",
        ),
        (
            "evaluate lm --documents sentence",
            "--documents: must be one of file, line, paragraph, got 'sentence'",
        ),
        ("evaluate lm --text txet.txt", "txet.txt does not exist; did you mean 'text.txt'?"),
        (
            "evaluate lm --text empty.de",
            "empty.de: holds no text; at least one character is needed",
        ),
        ("evaluate lm --window -1", "--window: must be at least 0, got -1"),
        ("evaluate run --output no/out", "no/out: cannot be written (No such file or directory)"),
        (
            "score test.en --reference train.en",
            "test.en has 8 lines, train.en 40; each line needs its reference",
        ),
        ("score test.en --reference tset.en", "tset.en does not exist; did you mean 'test.en'?"),
    ],
)
def test_evaluate_and_score_refuse(line: str, message: str, refused: Ran) -> None:
    assert refused(line) == message


def test_evaluate_scores_texts(ran: Ran) -> None:
    rows = json.loads(ran("evaluate lm --text text.txt --window 8 --format json"))
    names = ["nats per token", "bits per character"]
    parted = [f"{name}, windows" for name in names]
    assert [row["name"] for row in rows] == [*names, "perplexity", *parted]
    nats, bits, perplexity, parts, bits_of_parts = (row["value"] for row in rows)
    tokens, characters = 40 * len(TEXT) + 1, 40 * len(TEXT)
    assert rows[0]["signature"] == f"tokens:{tokens}|characters:{characters}|state:carried"
    signature = f"tokens:{tokens}|characters:{characters}|state:zero every 8 tokens"
    assert rows[3]["signature"] == signature
    assert bits == pytest.approx(nats * tokens / characters / math.log(2))
    assert bits_of_parts == pytest.approx(parts * tokens / characters / math.log(2))
    assert perplexity == pytest.approx(math.exp(nats))
    assert parts != nats
    assert json.loads(ran("evaluate lm --text text.txt --window 0 --format json")) == rows[:3]
    valid = ran("evaluate lm --window 0", says="no data.test: this is data.valid, which chose")
    assert [line.split()[0] for line in valid.splitlines()] == [
        "metric",
        "nats",
        "bits",
        "perplexity",
    ]


def test_evaluate_cuts_texts_into_the_documents_of_the_configuration(
    ran: Ran, tmp_path: Path
) -> None:
    shutil.copytree("lm", tmp_path / "lm")
    path = tmp_path / "lm" / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    texts = settings["data"]

    def tokens(words: str = "--text text.txt", **documents: str) -> int:
        """Returns how many tokens there are to predict: each document has its end."""
        for role in ("train", "valid", "test"):
            unit = documents.get(role)
            texts[role] = {"files": ["text.txt"], "documents": unit} if unit else None
        path.write_text(yaml.safe_dump(settings))
        table = ran(f"evaluate {tmp_path}/lm --window 0 {words}")
        return int(table.partition("tokens:")[2].partition("|")[0])

    whole, lines = 40 * len(TEXT) + 1, 40 * len(TEXT)
    assert tokens(train="line", valid="line", test="line") == lines
    assert tokens(train="file", valid="file", test="line") == lines
    assert tokens(train="file", valid="line") == lines
    assert tokens(train="line") == lines
    assert tokens(train="line", valid="file") == tokens() == whole
    assert tokens("--text text.txt --documents line") == lines
    assert tokens("--documents line", valid="file") == lines
    assert tokens("--documents file --text text.txt", valid="line") == whole


def test_evaluate_needs_a_text(ran: Ran, refused: Ran, tmp_path: Path) -> None:
    config = {**yaml.safe_load(TEXT_CONFIG), "folder": f"{tmp_path}/lists"}
    del config["data"]["train"], config["data"]["valid"]
    seq2seq.train(config, data={"train": [TEXT], "valid": [TEXT]})
    assert refused(f"evaluate {tmp_path}/lists") == (
        f"{tmp_path}/lists: its configuration has neither data.test nor data.valid; give --text "
        "(in Python: documents)"
    )
    assert "state:carried" in ran(f"evaluate {tmp_path}/lists --text text.txt")


def test_mistakes_follow_the_scores(ran: Ran) -> None:
    table = ran("evaluate run")
    both = ran("evaluate run --mistakes 2")
    assert both.startswith(f"{table}\nconfusions: ")
    assert "\n\nwrong lines: " in both
    assert "\n\nerror rates by characters of the source\n" in both


def test_an_ensemble_of_runs(ran: Ran, refused: Ran, tmp_path: Path) -> None:
    train = "train config.yaml --train.steps 2"
    ran(f"{train} --train.seed 2 --folder {tmp_path}/run")
    ran(f"{train} --target.tokenizer char --folder {tmp_path}/other")
    own = ran("evaluate run --format json")
    assert json.loads(ran("evaluate run --ensemble run --format json")) == json.loads(own)
    together = ran(f"translate run test.de --ensemble {tmp_path}/run run --beam-size 3")
    assert len(together.splitlines()) == 8
    assert ran("translate run test.de --ensemble run") == ran("translate run test.de")
    table = ran(f"evaluate run --ensemble {tmp_path}/run --metrics wer per cer")
    assert [line.split()[0] for line in table.splitlines()] == ["metric", "WER", "PER", "CER"]
    assert refused(f"evaluate run --ensemble {tmp_path}/run {tmp_path}/other") == (
        f"{tmp_path}/other: its tokenizers or vocabularies differ from those of run; an ensemble "
        "needs runs that were trained on the same data"
    )
    assert refused("translate run test.de --ensemble rnu").endswith("; did you mean 'run'?")


def test_evaluate_needs_a_test_set(refused: Ran, tmp_path: Path) -> None:
    shutil.copytree("run", tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["data"]["test"] = None
    path.write_text(yaml.safe_dump(settings))
    assert refused(f"evaluate {tmp_path}/run") == (
        f"{tmp_path}/run: its configuration has no data.test; give --pairs, or --source and "
        "--reference (in Python: pairs)"
    )


# --- info, config, average


def test_info_describes_runs_and_changes_nothing(ran: Ran) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")}
    labels = [line.partition(" ")[0] for line in ran("info run").splitlines()]
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")} == before
    assert labels == [
        "run", "task", "vocabulary", "parameters", "checkpoints", "trained", "best",
    ]  # fmt: skip
    both = ran("info run run --weights")
    assert both.count("\nparameters ") == 4
    assert "source_input.weight" in both


def test_info_describes_a_language_model(ran: Ran) -> None:
    lines = ran("info lm --weights").splitlines()
    assert lines[:2] == ["run          lm", "task         language-model"]
    assert lines[2] == f"vocabulary   {4 + len(set(TEXT))}"
    assert any(line.startswith("best         step-0000004: valid_loss ") for line in lines)
    assert any(line.startswith("input.weight ") for line in lines)


def test_info_refuses_what_is_no_run(refused: Ran) -> None:
    assert refused("info other").startswith("other: is not a run folder; expected a folder with")
    assert refused("info rnu").endswith("; did you mean 'run'?")


@pytest.mark.parametrize("task", TASKS)
def test_every_key_has_a_type_a_default_and_a_help_text(task: str, ran: Ran) -> None:
    lines = ran(f"config {task}").splitlines()
    assert len(lines) > 100
    for key, text in zip(lines[::2], lines[1::2], strict=True):
        assert ": " in key.partition(" = ")[0], key
        assert text.startswith("    "), key
        assert text.strip().endswith("."), key


def test_a_prefix_shows_its_section_only(ran: Ran) -> None:
    keys = ran("config translation model.encoder").splitlines()[::2]
    assert len(keys) > 3
    assert all(key.startswith("model.encoder.") for key in keys)


@pytest.mark.parametrize("task", TASKS)
def test_yaml_loads_as_the_defaults(task: str, ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(ran(f"config {task} --format yaml"))
    kind = named(task).config
    assert configuration.load(kind, tmp_path / "all.yaml") == kind()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "translaton",
            f"TASK: must be one of {', '.join(TASKS)}, got 'translaton'; did you mean "
            "'translation'?",
        ),
        (
            "translation model.encodr",
            "model.encodr: unknown key; did you mean 'model.encoder'?",
        ),
        ("translation encoder", "encoder: unknown key; did you mean 'model.encoder'?"),
        (
            "translation model --format yaml",
            "PREFIX: must be left out where --format is yaml: a whole file",
        ),
    ],
)
def test_config_refuses(words: str, message: str, refused: Ran) -> None:
    assert refused(f"config {words}") == message


def test_an_average_can_be_used(ran: Ran, tmp_path: Path) -> None:
    shutil.copytree("run", tmp_path / "run")
    run = tmp_path / "run"
    assert ran(f"average {run}") == f"{run}/checkpoints/average\n"
    assert ran(f"average {run} --last 2 --name zwei") == f"{run}/checkpoints/zwei\n"
    assert len(list((run / "checkpoints").glob("step-*"))) == 3
    for name in ("average", "zwei"):
        assert len(ran(f"translate {run} test.de --checkpoint {name}").splitlines()) == 8


def test_an_average_removes_no_checkpoints(ran: Ran, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    words = f"--folder {tmp_path} --train.keep 6 --train.validate_every 1"
    ran(f"train config.yaml {words}")
    ran(f"average {tmp_path} --last 5 --name zoo")
    assert len(list((tmp_path / "checkpoints").glob("step-*"))) == 6


@pytest.mark.parametrize("last", [0, 9, -1])
def test_an_average_of_too_many(last: int, refused: Ran) -> None:
    assert refused(f"average run --last {last}") == (
        "--last: must be at least 1 and at most 3, the checkpoints that train.keep left, "
        f"got {last}"
    )


@pytest.mark.parametrize("name", ["", "..", "a/b", "best", "last", "step-0000001", "7"])
def test_a_name_that_no_average_can_have(name: str, refused: Ran) -> None:
    assert refused(f"average run --name '{name}'") == (
        "--name: must be letters, digits, dots and dashes, begin with a letter, "
        f"and be none of best, last and step-..., got {name!r}"
    )


# --- tokenizer

TRICKY = "a\u2028b\n\n  lead\ttab \n\x85x\x0cy\n🙂 e\u0301\rz\nfünf\n"


def test_a_tokenizer_and_back(ran: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    words = "--tokenizer bpe train.de --vocab_size 300 train.en"
    out = ran(f"tokenizer train {words} --output {folder}")
    assert out == f"{folder}: 304 tokens, reversible: True\n"
    (tmp_path / "text").write_bytes(TRICKY.encode())
    (tmp_path / "ids").write_text(ran(f"tokenizer encode {folder} {tmp_path}/text --format ids"))
    assert ran(f"tokenizer decode {folder} {tmp_path}/ids") == TRICKY
    assert len(ran(f"tokenizer encode {folder} {tmp_path}/text").split("\n")) == 7
    assert ran("tokenizer encode run/pipeline/source train.de") == Path("train.de").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train train.de", "the following arguments are required: --output; see `seq2seq "
         "tokenizer train --help`"),
        ("train trian.de --output new", "trian.de does not exist; did you mean 'train.de'?"),
        (
            "train train.de --output new --tokenizer bp",
            "--tokenizer: must be one of unigram, bpe, char, byte, word, space, subword-nmt, got "
            "'bp'; did you mean 'bpe'?",
        ),
        (
            "train train.de --output new --vocab_siz 3",
            "--vocab_siz: unknown key; did you mean 'vocab_size'?",
        ),
        (
            "train train.de --output new --vocab_size 3",
            "pipeline.vocab_size: must be at least 271, room for all characters of the training "
            "text and 256 bytes, got 3; or lower pipeline.character_coverage",
        ),
        (
            "train train.de --output train.en --tokenizer char",
            "train.en: is no folder (File exists); name a new one",
        ),
        (
            "encode other train.de",
            "other: is not a pipeline; expected a folder that `seq2seq tokenizer train` wrote",
        ),
        (
            "encode run train.de",
            "run: is not a pipeline; expected a folder that `seq2seq tokenizer train` wrote; did "
            "you mean 'run/pipeline/source'?",
        ),
        (
            "encode run/pipeline/sauce train.de",
            "run/pipeline/sauce: is not a pipeline; expected a folder that `seq2seq tokenizer "
            "train` wrote; did you mean 'source'?",
        ),
    ],
)  # fmt: skip
def test_tokenizer_refuses(words: str, message: str, refused: Ran) -> None:
    assert refused(f"tokenizer {words}") == message


@pytest.mark.parametrize("word", ["x", "-1", "11", "²", "9" * 5000])
def test_ids_that_are_none(word: str, refused: Ran, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text(f"8 4\n5 {word}\n")
    message = f"{tmp_path}/ids: line 2: {word!r} is not an id; accepted: 0 to 10"
    assert refused(f"tokenizer decode run/pipeline/source {tmp_path}/ids") == message


# --- data check


def test_data_check_prints_a_table(ran: Ran) -> None:
    for line in (
        "data check config.yaml",
        "data check --data.train.source train.de --data.train.target train.en "
        "--data.test.source test.de --data.test.target test.en",
    ):
        header, pairs, *rest = ran(line).splitlines()
        assert header.split() in (["train", "valid", "test"], ["train", "test"])
        assert pairs.split()[:2] == ["pairs", "40"]
        assert any(row.startswith("sources also in train ") for row in rest)


def test_data_check_of_the_bundled_corpus(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    out = ran("data check recipes/quickstart/config.yaml --data.train.limit 50 --data.test none")
    assert out.splitlines()[1].split()[:2] == ["pairs", "50"]


def test_data_check_needs_data(refused: Ran) -> None:
    message = "data.train: is required; name a CONFIG, or give --data.train.source and .target"
    assert refused("data check") == message


# --- the command line itself


FIRST_WORDS = dict.fromkeys(name.split()[0] for name in all_verbs())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: VERB; see `seq2seq --help`"),
        (
            "trian",
            f"VERB: must be one of {', '.join(FIRST_WORDS)}, got 'trian'; did you mean 'train'?",
        ),
        (
            "tokenizer encod",
            "VERB: must be one of train, encode, decode, got 'encod'; did you mean 'encode'?",
        ),
        ("info run --wieghts", "--wieghts: unexpected argument; did you mean '--weights'?; see "
         "`seq2seq info --help`"),
        ("train config.yaml --dryrun", "--dryrun: unexpected argument; did you mean '--dry-run'?; "
         "see `seq2seq train --help`"),
    ],
)  # fmt: skip
def test_slips_of_the_pen(line: str, message: str, refused: Ran) -> None:
    assert refused(line) == message


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"seq2seq {__version__}\n"


def test_debug_shows_where_it_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "rnu", "--debug"]) == 2
    assert capsys.readouterr().err.startswith("Traceback (most recent call last):\n")


def test_ctrl_c(refused: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seq2seq.cli.commands.info", stop)
    assert refused("info run", code=130) == "interrupted"


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("translate run test.de --output out.txt", "search_for"),
        ("evaluate run --output out.txt", "search_for"),
        ("generate lm --output out.txt", "sample"),
        ("train config.yaml --folder new --train.seed 2", "encode_corpus"),
        ("train config.yaml --folder new --dry-run", "fold_model"),
        ("train text.yaml --folder new", "encode_texts"),
    ],
)
def test_a_signal_leaves_nothing_half_written(
    line: str, place: str, refused: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    holders = [module for name, module in sys.modules.items() if name.startswith("seq2seq.tasks")]
    for module in holders:
        if hasattr(module, place):
            monkeypatch.setattr(module, place, stop)
    assert refused(line, code=143).startswith("stopped by SIGTERM")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not list(Path("cache").rglob("*.tmp-*"))


def test_a_full_disk_below_standard_output(refused: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    with suppress(OSError), open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        message = "standard output: No space left on device"
        assert refused("config translation train", code=74) == message


def test_output_is_utf8_whatever_the_locale(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["tokenizer", "encode", "run/pipeline/source", "train.de"]) == 0
    assert (tmp_path / "out").read_text(encoding="utf-8") == Path("train.de").read_text()


def parsers(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields each verb and its help text."""
    yield path, parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from parsers(below, f"{path} {verb}".strip())


HELP = dict(parsers(make_parser()))


@pytest.mark.parametrize("verb", HELP)
def test_help_has_five_examples_and_each_can_be_parsed(verb: str) -> None:
    examples = HELP[verb].partition("examples:\n")[2].strip().splitlines()
    served = all_verbs().get(verb, [Served(TRAIN)])
    assert len(examples) == 5 * len(served)
    for example in examples:
        commands = [part for part in example.split("|") if part.split()[0] == "seq2seq"]
        assert commands, example
        for command in commands:
            words = shlex.split(command.partition(" > ")[0])[1:]
            options = make_parser().parse_args(words)
            name = options.served[0].verb.name.split()
            assert name == words[: len(name)]
            for key in options.keys[::2]:
                assert key.startswith("--"), example
    assert len({example.strip() for example in examples}) == len(examples)


WATCH = """
import sys
from seq2seq.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"torch", "datasets", "sentencepiece", "numpy", "seq2seq.experiment"} & set(sys.modules)
    assert not heavy, heavy
"""


@pytest.mark.parametrize("verb", HELP)
def test_help_comes_at_once(verb: str) -> None:
    command = [sys.executable, "-c", WATCH, *verb.split(), "--help"]
    times: list[float] = []
    while not times or (min(times) > 0.3 and len(times) < 3):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


# --- verbs by task


def helped(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit:
        main([*shlex.split(words), "--help"])
    assert exit.value.code == 0
    return capsys.readouterr().out


def test_the_help_of_a_shared_verb_is_that_of_the_run_s_task(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pairs, text, both = (helped(f"evaluate{run}", capsys) for run in (" run", " lm", ""))
    assert "--pairs" in pairs
    assert "--window" not in pairs
    assert "--window" in text
    assert "--pairs" not in text
    assert both.index("options for translation, transduction:") < both.index("--pairs")
    assert both.index("options for language-model:") < both.index("--window")
    assert both.index("--pairs") < both.index("options for language-model:")
    for shown in (pairs, text, both):
        assert shown.count("--checkpoint NAME") >= 1


def test_a_run_is_found_among_options_and_their_values(ran: Ran) -> None:
    assert "state:carried" in ran("evaluate --window 5 --format table lm")
    assert "exact" in ran("evaluate --lowercase run --metrics exact bleu --ensemble run")


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "seq2seq", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"seq2seq {seq2seq.__version__}\n"
