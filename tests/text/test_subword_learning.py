import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import get_args

import pytest
import sentencepiece

from seq2seq.errors import ConfigError, DataError, Seq2SeqError
from seq2seq.text import learning
from seq2seq.text.pipeline import train_tokenizer
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.subword import SubwordKind, SubwordTokenizer

KINDS = get_args(SubwordKind)
TEXTS = [
    "a dog runs over the meadow .",
    "two dogs run",
    "der Hund läuft über die Wiese",
    "the year 2016, the year 1999",
    "running, jumping and playing",
] * 30
WORDS = ["".join(Random(seed).choices("abcdefghij", k=2 + seed % 7)) for seed in range(2000)]
DOCUMENT = " ".join(Random(1).choices(WORDS, k=50_000))
REPETITIVE = {
    "dashes": ["-" * 400_000],
    "words": ["abc def " * 50_000],
    "no spaces": ["abcdefg" * 40_000],
    "spaces": [" " * 300_000],
    "a document twice": [DOCUMENT, DOCUMENT],
    "a document in each of many texts": [f"{number} {DOCUMENT[:50_000]}" for number in range(5)],
}
"""Each takes the unigram learner minutes as it stands."""


def train(
    texts: list[str], kind: SubwordKind, size: int = 400, sample_size: int = 0
) -> SubwordTokenizer:
    return SubwordTokenizer.train(
        lambda: texts, kind=kind, vocab_size=size, sample_size=sample_size
    )


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has even few texts learned from in another process."""
    monkeypatch.setattr(learning, "CHARACTERS_AT_ONCE", 100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REPETITIVE)
def test_long_repetitive_texts_are_learned_from_in_stretches(
    name: str, kind: SubwordKind, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    tokenizer = train([*TEXTS, *REPETITIVE[name]], kind, 100_000)  # more than there can be
    assert time.monotonic() - started < 30
    told = [text for text in caplog.messages if "stretches" in text]
    assert told == [
        f"source: subwords are learned from {len(REPETITIVE[name])} texts of more than 4,096 "
        "characters in stretches of 512"
    ]
    text = REPETITIVE[name][0]
    assert tokenizer.decode(tokenizer.encode([text])) == [text]


def test_joint_tokenizers_cut_long_texts(caplog: pytest.LogCaptureFixture) -> None:
    config = PipelineConfig(tokenizer="unigram", vocab_size=300)
    train_tokenizer(config, [*TEXTS, *REPETITIVE["dashes"]], key="source")
    assert sum("stretches" in text for text in caplog.messages) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [TEXTS, [*TEXTS, DOCUMENT[:4096], DOCUMENT[4096:8192]]])
def test_other_texts_are_learned_from_as_they_are(
    texts: list[str], kind: SubwordKind, caplog: pytest.LogCaptureFixture
) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, model_type=kind, vocab_size=301,
        input_sentence_size=500_000, character_coverage=1.0, split_digits=False,
        **learning.FIXED_SETTINGS,
    )  # fmt: skip
    assert train(texts, kind, 300, sample_size=500_000).model == model.getvalue()
    assert caplog.messages == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample_size", [0, 101])
def test_another_process_learns_the_same(
    kind: SubwordKind, sample_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = train(TEXTS, kind, 300, sample_size=sample_size)
    monkeypatch.setattr(learning, "CHARACTERS_AT_ONCE", 100)
    assert train(TEXTS, kind, 300, sample_size=sample_size) == here


def test_a_sample_is_drawn_evenly_and_always_the_same() -> None:
    items = [str(number) for number in range(10_000)]
    drawn = list(learning.sample(items, 500))
    assert drawn == list(learning.sample(iter(items), 500))
    assert len(set(drawn)) == 500
    assert abs(sum(map(int, drawn)) / 500 - 5000) < 4 * 2887 / 500**0.5
    assert list(learning.sample(items[:500], 500)) == items[:500]


@pytest.mark.usefixtures("elsewhere")
def test_what_goes_wrong_elsewhere_is_told_as_here() -> None:
    with pytest.raises(ConfigError, match=r"^source.vocab_size: must be at least \d+, room for"):
        train(TEXTS, "unigram", 100)

    def broken() -> Iterator[str]:
        yield from TEXTS
        raise DataError("train.en:151: invalid byte")

    with pytest.raises(DataError, match=r"^train.en:151: invalid byte$"):
        SubwordTokenizer.train(broken, kind="unigram", vocab_size=300)


@pytest.mark.usefixtures("elsewhere")
def test_a_learner_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(Seq2SeqError, match=r"was ended by signal 9, perhaps for want of memory"):
        train(TEXTS, "unigram")


LEARN = """
import sys
from seq2seq.text.subword import SubwordTokenizer
texts = open(sys.argv[1]).read().split("\\n")
try:
    SubwordTokenizer.train(lambda: texts, kind="unigram", vocab_size=8000)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Runs a program that learns for a long time, in a process of its own."""
    path = tmp_path / "text.txt"
    words = ["".join(Random(seed).choices("abcdefghij", k=12)) for seed in range(50_000)]
    path.write_text("\n".join(" ".join(words[at : at + 10]) for at in range(0, 50_000, 5)))
    with subprocess.Popen(
        [sys.executable, "-c", LEARN, str(path)], stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def children(process: subprocess.Popen[str]) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in found.read_text().split()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_learning_ends_with_whoever_waits_for_it(
    learner: subprocess.Popen[str], sent: signal.Signals
) -> None:
    while not (found := children(learner)):
        time.sleep(0.01)
    time.sleep(0.3)  # into the C++
    os.kill(learner.pid, sent)
    assert learner.wait(5) == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    deadline = time.monotonic() + 5
    while runs(found[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(found[0])
    assert learner.stderr is not None
    assert learner.stderr.read() == ""
