import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seq2seq
from seq2seq.data.pairs.corpus import Pair
from seq2seq.errors import CheckpointError, ConfigError, OutOfMemory
from seq2seq.search.config import SearchConfig
from seq2seq.search.strategies import search
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.translation.translation import Translation
from seq2seq.tasks.translation.translator import Translator
from tests.full_memory import full_above

PAIRS: list[Pair] = [(f"satz {n} {'x' * (n % 5)}", f"sentence {n}") for n in range(24)]
TEXTS = [source for source, _ in PAIRS]
CONFIG: dict[str, Any] = {
    "source.tokenizer": "char",
    "target.tokenizer": "char",
    "model.embedding_size": 16,
    "model.encoder.hidden_size": 16,
    "model.decoder.hidden_size": 16,
    "train.steps": 30,
    "train.optimizer.learning_rate": 0.01,
    "train.device": "cpu",
    "train.precision": "float32",
    "validation.sentences": 0,
    "search.max_length": 12,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    settings = {**CONFIG, "folder": str(place / "first"), "data.cache": str(place / "cache")}
    return seq2seq.train(settings, data={"train": PAIRS, "valid": PAIRS}).folder


@pytest.fixture(scope="module")
def translator(folder: Path) -> Translator:
    found = seq2seq.load(folder, device="cpu")
    assert isinstance(found, Translator)
    return found


def texts(found: list[Translation]) -> list[str]:
    return [one.text for one in found]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_batches_and_neighbours_change_nothing(translator: Translator, beam_size: int) -> None:
    expected = [text for one in TEXTS for text in texts(translator([one], beam_size=beam_size))]
    for size in (1, 7, 64):
        found = translator(TEXTS, beam_size=beam_size, batch_size=size)
        assert texts(found) == expected
    backwards = translator(TEXTS[::-1], beam_size=beam_size, batch_size=7)
    assert texts(backwards) == expected[::-1]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_batches_side_by_side_change_nothing(translator: Translator, beam_size: int) -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(translator(TEXTS, beam_size=beam_size, batch_size=5))
    finally:
        torch.set_num_threads(before)
    assert texts(found[0]) == texts(found[1])
    assert [one.score for one in found[0]] == pytest.approx([one.score for one in found[1]], 1e-6)


def test_where_memory_is_full_batches_are_halved(
    translator: Translator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = texts(translator(TEXTS, beam_size=3))

    def fill(most: int) -> None:
        limited = full_above(most, lambda stepper, source, *_: len(source.lengths), search)
        monkeypatch.setattr("seq2seq.tasks.translation.translator.search_for", limited)

    fill(3)
    assert texts(translator(TEXTS, beam_size=3, batch_size=16)) == expected
    told = [message for message in caplog.messages if "memory is full" in message]
    assert len(told) == len(set(told)) > 0
    fill(0)
    with pytest.raises(OutOfMemory, match=r"^memory is full with a single text; choose"):
        translator(TEXTS)


def test_the_widest_beam_is_searched_for_text_by_text(translator: Translator) -> None:
    both = [texts(translator(TEXTS[:3], beam_size=300, batch_size=size)) for size in (1, 64)]
    assert both[0] == both[1]
    with pytest.raises(ConfigError, match=r"^beam_size: must be at most 10,000, got 10001$"):
        translator(TEXTS, beam_size=10_001)


def test_blank_texts_stay_blank_where_they_are(translator: Translator) -> None:
    found = translator(["", TEXTS[0], " \t", TEXTS[1], "\u3000"])
    assert [bool(one.target_tokens) for one in found] == [False, True, False, True, False]
    blank = found[0]
    assert (blank.text, blank.score, blank.alignment()) == ("", 0.0, [])
    assert translator([]) == []
    assert texts(translator([" "])) == [""]


def test_odd_texts_are_told_of_once(
    translator: Translator, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [TEXTS[0], "Satz € 9", "satz ä", ""]
    translator(sources, beam_size=1)
    message = "2 of 4 texts hold what the model does not know, as 'S'; the first begins 'Satz € 9'"
    assert caplog.messages == [message]
    translator(sources, beam_size=1)
    translator(TEXTS, beam_size=1)
    assert caplog.messages == [message]


def test_n_best_widens_the_beam(translator: Translator) -> None:
    (found,) = translator(TEXTS[:1], n_best=translator.search.beam_size + 2)
    assert len(found.alternatives) == translator.search.beam_size + 2


def test_sizes_that_make_no_sense_are_refused(translator: Translator) -> None:
    with pytest.raises(ConfigError, match=r"^n_best: must be at least 1, got 0$"):
        translator(TEXTS[:1], n_best=0)
    with pytest.raises(ConfigError, match=r"^beam_size: must be at least 1, got 0$"):
        translator(TEXTS[:1], beam_size=0)


def test_n_best(translator: Translator) -> None:
    (found,) = translator(TEXTS[:1], beam_size=2, n_best=3)
    assert len(found.alternatives) == 3
    assert found.text == found.alternatives[0].text
    scores = [one.score for one in found.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert len({one.target_tokens for one in found.alternatives}) == 3
    (greedy,) = translator(TEXTS[:1], search=SearchConfig(beam_size=1, max_length=12))
    assert len(greedy.alternatives) == 1


def test_attention_and_alignment(translator: Translator, tmp_path: Path) -> None:
    for one in translator(TEXTS[:7]):
        assert one.attention.shape == (len(one.target_tokens), len(one.source_tokens))
        np.testing.assert_allclose(one.attention.sum(1), 1, rtol=1e-5)
        assert one.alignment() == one.attention.argmax(1).tolist()
        assert one.target_tokens[-1] == "<eos>"
    path = one.plot_attention(tmp_path / "attention.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_same_run_translates_the_same(folder: Path, translator: Translator) -> None:
    again = Translator.load(str(folder), checkpoint="last", device="cpu")
    assert texts(again(TEXTS)) == texts(translator(TEXTS))


def test_folders_that_are_no_runs(folder: Path) -> None:
    wanted = "expected a folder with config.yaml that `seq2seq train` wrote"
    missing = folder.with_name("frist")
    with pytest.raises(CheckpointError) as error:
        seq2seq.load(missing)
    assert str(error.value) == f"{missing}: does not exist; {wanted}; did you mean 'first'?"
    with pytest.raises(CheckpointError) as error:
        seq2seq.load(folder / "pipeline")
    assert str(error.value) == f"{folder / 'pipeline'}: is not a run folder; {wanted}"


@pytest.mark.parametrize(("content", "task"), [("task: poetry\n", "'poetry'"), ("a: 1\n", "None")])
def test_a_configuration_of_another_task(tmp_path: Path, content: str, task: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    accepted = ", ".join(TASKS)
    text = f"config.yaml: task: must be one of {accepted}, got '?{task}'?"
    with pytest.raises(CheckpointError, match=text):
        seq2seq.load(tmp_path)


def test_a_missing_checkpoint(folder: Path) -> None:
    text = r"checkpoints: no checkpoint '7'; accepted: best, last, step-0000030"
    with pytest.raises(CheckpointError, match=text):
        seq2seq.load(folder, checkpoint="7")


@pytest.mark.parametrize("content", [b"model: [1\n", b"\xff\xfe\x00", b"- 1\n"])
def test_a_damaged_configuration_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.yaml: is damaged \([^\n]+\)$"):
        seq2seq.load(tmp_path)


def test_a_plain_string_is_one_text(folder: Path) -> None:
    translator = Translator.load(folder)
    (alone,) = translator("a b")
    (listed,) = translator(["a b"])
    assert (alone.text, alone.score, alone.source) == (listed.text, listed.score, "a b")


def test_a_record_holds_what_jsonl_prints(folder: Path) -> None:
    (translation,) = Translator.load(folder)(["a b"], n_best=2)
    record = translation.record()
    assert json.loads(json.dumps(record))["source"] == "a b"
    best, second = record["hypotheses"]
    assert (best["text"], best["score"]) == (translation.text, translation.score)
    assert best["tokens"] == translation.target_tokens
    assert second["text"] == translation.alternatives[1].text
