"""Scores of given pairs: those of search and of its steps, whatever stands beside them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seq2seq.data.layout import flatten, make_batch
from seq2seq.errors import OutOfMemory
from seq2seq.models.ensemble import Ensemble
from seq2seq.models.seq2seq import Seq2Seq
from seq2seq.nn.cells import CELLS
from seq2seq.nn.linear import SearchPrecision, has_int8
from seq2seq.search.config import SearchConfig
from seq2seq.symbols import UNK
from seq2seq.tasks.translation.scoring import log_probs_of
from seq2seq.tasks.translation.translator import MOST_TOKENS, Translator
from seq2seq.tensors import Batch, Padded
from tests.full_memory import full_above
from tests.models.test_folded import ATTENDING, VARIANTS, translator
from tests.searching import by_beam
from tests.tiny import PAIRS, TEXTS, train_tiny

TAGS = ["<a>", "<b>"]
SOURCES = [[5, 6, 7, 8, 9], [6], [9, 9, 4]]
SEARCH = SearchConfig(beam_size=4, length_penalty=0.7, max_length=6)


def searched(stepper: Any) -> tuple[Batch, list[float]]:
    """Returns what a search finds as a batch of pairs, and the log-probability of each."""
    flat, lengths = flatten(SOURCES)
    values = torch.zeros(3, 5, dtype=torch.long)
    values[torch.arange(5) < torch.from_numpy(lengths)[:, None]] = torch.from_numpy(flat)
    found = by_beam(stepper, Padded(values, torch.from_numpy(lengths)), SEARCH)
    pairs = [
        (source, one) for source, several in zip(SOURCES, found, strict=True) for one in several
    ]
    batch = make_batch(*flatten([row for row, _ in pairs]), *flatten([one.ids for _, one in pairs]))
    return batch, [one.score * (len(one.ids) + 1) ** SEARCH.length_penalty for _, one in pairs]


def summed(batch: Batch, log_probs: torch.Tensor) -> list[float]:
    lengths = batch.target_out.lengths.tolist()
    return [float(part.sum()) for part in torch.split(log_probs, lengths)]


def stepwise(stepper: Any, batch: Batch) -> torch.Tensor:
    return log_probs_of(stepper, torch.device("cpu"), batch)


@torch.no_grad()
def at_once(model: Seq2Seq, batch: Batch) -> torch.Tensor:
    """Returns the log-probability of each real token, as the model sees whole targets."""
    features = model.features(batch)
    scores = model.head(features.vectors).gather(2, batch.target_out.values[..., None])[..., 0]
    real: torch.Tensor = scores[batch.target_out.valid]
    return real.double()


VARIED = dict.fromkeys(
    [*((cell, "plain") for cell in CELLS), *(("lstm", name) for name in {**VARIANTS, **ATTENDING})]
)
"""Every cell, and every variant of a model."""


@pytest.mark.parametrize(("cell", "variant"), VARIED)
def test_scores_are_those_of_search_and_of_training(cell: str, variant: str) -> None:
    model = translator(cell, variant, torch.float32)
    folded = model.fold("float32")
    batch, expected = searched(folded)
    assert len(set(expected)) > len(SOURCES)
    found = stepwise(folded, batch)
    assert summed(batch, found) == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(found, at_once(model, batch), atol=1e-5, rtol=0)


def test_probabilities_of_an_ensemble_are_those_that_it_searches_with() -> None:
    models = [translator(cell, "feeding") for cell in ("lstm", "gru")]
    batch, expected = searched(Ensemble(models))
    found = stepwise(Ensemble(models), batch)
    assert summed(batch, found) == pytest.approx(expected, abs=1e-10)
    # The first token's probability is the mean of the models', those after it are not.
    first = (at_once(models[0], batch).exp() + at_once(models[1], batch).exp()) / 2
    torch.testing.assert_close(found[0].exp(), first[0])


def test_probabilities_of_all_that_may_come_add_up_to_one() -> None:
    targets = [[first] for first in range(40)]
    batch = make_batch(*flatten([[5, 6]] * 40), *flatten(targets))
    log_probs = stepwise(translator("gru", "plain"), batch).view(40, 2)
    assert float(log_probs[:, 0].exp().sum()) == pytest.approx(1, abs=1e-9)  # its end among them


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny("translation", tmp_path_factory.mktemp("scores") / "run")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Translator:
    return Translator.load(folder, device="cpu")


def n_best(one: Translator) -> list[tuple[str, str, float]]:
    found = one(TEXTS, beam_size=4, n_best=3)
    return [
        (every.source, other.text, other.score) for every in found for other in every.alternatives
    ]


@pytest.mark.parametrize(
    "precision",
    [
        "float32",
        pytest.param("int8", marks=pytest.mark.skipif(not has_int8("cpu"), reason="no integers")),
    ],
)
def test_a_translator_scores_what_it_found_as_it_found_it(
    precision: SearchPrecision, folder: Path
) -> None:
    one = Translator.load(folder, device="cpu", precision=precision)
    found = n_best(one)
    scores = one.score([(source, text) for source, text, _ in found])
    expected = [score for *_, score in found]
    assert [score.normalized() for score in scores] == pytest.approx(expected, abs=1e-5)
    for score, (source, text, _) in zip(scores, found, strict=True):
        assert (score.source, score.target) == (source, text)
        assert score.tokens == (*text, "<eos>")
        assert math.fsum(score.log_probabilities) == pytest.approx(score.log_probability)
        assert len(score.log_probabilities) == len(score.tokens)
        assert score.normalized(0.0) == score.log_probability


def test_batches_order_and_neighbours_change_nothing(loaded: Translator) -> None:
    pairs = [("", "x"), *PAIRS[:5], ("satz 1", ""), (" ", " "), ("satz " * 9, TEXTS[3])]
    alone = [score for pair in pairs for score in loaded.score([pair])]
    for size in (1, 7, 64):
        for order in (pairs, pairs[::-1]):
            scores = loaded.score(order, batch_size=size)
            assert [(score.source, score.target) for score in scores] == order
            found = [score.normalized() for score in scores]
            wanted = alone if order is pairs else alone[::-1]
            assert found == pytest.approx([one.normalized() for one in wanted], abs=1e-6)
    assert loaded.score([]) == []


def test_odd_pairs(loaded: Translator) -> None:
    pairs = [("", ""), ("\u3000", "x"), ("satz", ""), ("satz", " "), ("satz", "€s€")]
    both_blank, no_source, no_target, white, unknown = loaded.score(pairs)
    assert (both_blank.log_probability, both_blank.tokens) == (0.0, ())
    assert (no_source.log_probability, no_source.record()["log_probability"]) == (-np.inf, None)
    assert no_target.tokens == ("<eos>",)
    assert white.log_probabilities == pytest.approx(no_target.log_probabilities, abs=1e-6)
    assert unknown.tokens == ("<unk>", "s", "<unk>", "<eos>")
    assert (unknown.unknown, no_target.unknown) == (2, 0)
    ids = loaded.pipelines.source.encode(["satz"])
    batch = make_batch(
        *flatten(ids), *flatten([[UNK, loaded.pipelines.target.encode("s")[0][0], UNK]])
    )
    expected = at_once(loaded.models[0], batch).tolist()
    assert unknown.log_probabilities == pytest.approx(expected, abs=1e-6)


def test_sources_are_cut_as_those_that_are_translated_and_targets_never(loaded: Translator) -> None:
    long = "satz " * MOST_TOKENS
    cut, whole = loaded.score([(long, "se"), (long[:MOST_TOKENS], "se")])
    assert cut.log_probability == pytest.approx(whole.log_probability, abs=1e-6)
    (score,) = loaded.score([("satz", "s" * (MOST_TOKENS + 1))])
    assert len(score.tokens) == MOST_TOKENS + 2


def test_where_memory_is_full_pairs_are_halved(
    loaded: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [score.normalized() for score in loaded.score(PAIRS)]

    def fill(most: int) -> None:
        limited = full_above(most, lambda stepper, device, batch: batch.rows, log_probs_of)
        monkeypatch.setattr("seq2seq.tasks.translation.translator.log_probs_of", limited)

    fill(3)
    found = [score.normalized() for score in loaded.score(PAIRS)]
    assert found == pytest.approx(expected, abs=1e-6)
    fill(0)
    with pytest.raises(OutOfMemory, match=r"single text; leave out the longest pairs$"):
        loaded.score(PAIRS)


def test_tags_of_sources_and_reversed_targets(tmp_path: Path) -> None:
    more: dict[str, Any] = {"source.tags": TAGS, "target.reversed": True}
    one = Translator.load(train_tiny("translation", tmp_path / "run", **more), device="cpu")
    found = one([f"{tag} satz 1" for tag in TAGS], beam_size=4, n_best=3)
    pairs = [(every.source, other.text) for every in found for other in every.alternatives]
    scores = one.score(pairs)
    expected = [other.score for every in found for other in every.alternatives]
    assert [score.normalized() for score in scores] == pytest.approx(expected, abs=1e-5)
    assert scores[0].tokens == (*pairs[0][1][::-1], "<eos>")
    assert len({score.log_probability for score in one.score([(tag, "x") for tag in TAGS])}) == 2
