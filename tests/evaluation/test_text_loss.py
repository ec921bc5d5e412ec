import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.data.documents.batches import ReadThrough, Windows
from seq2seq.data.documents.store import TextStore
from seq2seq.evaluation.text_loss import Loss, measure, text_scores
from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.symbols import BOS, EOS
from seq2seq.tensors import Features, Padded, TextBatch

A, B = 4, 5


def store_of(*documents: Sequence[int]) -> TextStore:
    """A character a token."""
    whole = [[BOS, *document, EOS] for document in documents]
    ends = np.cumsum([len(one) for one in whole])
    ids = np.array([token for one in whole for token in one], np.uint16)
    return TextStore(ids, ends, sum(map(len, documents)))


def model_of() -> Any:
    torch.manual_seed(1)
    layers = RecurrentConfig(cell="gru", hidden_size=4)
    model = build_language_model(LanguageModelConfig(embedding_size=3, layers=layers), 6)
    return model.double().eval()


class Counting:
    """Each prediction costs the number of tokens that were read since the state was empty."""

    device = torch.device("cpu")
    head: Any = None

    def __init__(self) -> None:
        self.head = self

    def features(self, batch: TextBatch, carried: Tensor | None = None) -> Features:
        before = torch.zeros(len(batch.fresh)) if carried is None else carried[:, 0, 0]
        before = before.masked_fill(batch.fresh, 0)
        lengths = batch.target_out.lengths
        nats = before * lengths + lengths * (lengths - 1) / 2
        return Features(nats[:, None, None], batch.target_out, (before + lengths)[:, None, None])

    def loss(self, vectors: Tensor, targets: Padded) -> Tensor:
        return vectors.sum()


def test_bits_per_character_of_a_model_with_constant_weights() -> None:
    model = model_of()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for token, share in {A: 1 / 2, B: 1 / 4, EOS: 1 / 8}.items():
            model.head.bias[token] = math.log(share)
        for token in set(range(6)) - {A, B, EOS}:
            model.head.bias[token] = math.log(1 / 24)
    store = store_of([A, A, B], [B])  # 1 + 1 + 2 + 3 and 2 + 3 bits, the ends included
    loss = measure(model, ReadThrough(store))
    assert loss.tokens == 6
    assert loss.bits == pytest.approx(12)
    assert loss.bits / store.characters == pytest.approx(3)
    assert loss.per_token == pytest.approx(2 * math.log(2))
    for other in (ReadThrough(store, rows=3, steps=2), Windows(store, 2)):
        assert measure(model, other).bits == pytest.approx(12)


@pytest.mark.parametrize(("rows", "expected"), [(1, 45), (2, 20), (5, 5)])
def test_each_row_begins_with_an_empty_state_and_keeps_it(rows: int, expected: int) -> None:
    store = store_of([A] * 9)  # ten predictions
    loss = measure(Counting(), ReadThrough(store, rows, steps=10 // rows))
    assert (loss.nats, loss.tokens) == (expected, 10)


def test_a_document_begins_with_an_empty_state() -> None:
    store = store_of([A] * 4, [], [B] * 2)
    for steps in (1, 2, 3, 512):
        assert measure(Counting(), ReadThrough(store, steps=steps)).nats == 10 + 0 + 3


def test_windows_forget() -> None:
    store = store_of([A] * 9, [B])
    found = [measure(Counting(), Windows(store, size, rows=2)).nats for size in (1, 4, 10, 50)]
    assert found == [0, 6 + 6 + 1 + 1, 45 + 1, 45 + 1]


@given(
    st.lists(st.lists(st.sampled_from([A, B]), max_size=12), min_size=1, max_size=4),
    st.integers(1, 15),
)
@settings(max_examples=25)
def test_a_text_read_in_chunks_costs_what_it_costs_as_a_whole(
    documents: list[list[int]], steps: int
) -> None:
    model, store = model_of(), store_of(*documents)
    parts = measure(model, ReadThrough(store, steps=steps))
    whole = measure(model, ReadThrough(store))
    assert parts.tokens == whole.tokens == sum(map(len, documents)) + len(documents)
    assert parts.nats == pytest.approx(whole.nats, rel=1e-12)
    assert measure(model, Windows(store, 20, rows=3)).nats == pytest.approx(whole.nats, rel=1e-12)


def test_scores_of_a_text() -> None:
    carried, windows = Loss(8 * math.log(2), 4), Loss(12 * math.log(2), 4)
    scores = text_scores(carried, windows, 3, 5)
    whole, parts = "state:carried", "state:zero every 3 tokens"
    assert [(score.name, score.signature) for score in scores] == [
        ("nats per token", f"tokens:4|characters:5|{whole}"),
        ("bits per character", f"tokens:4|characters:5|{whole}"),
        ("perplexity", f"tokens:4|characters:5|{whole}"),
        ("nats per token, windows", f"tokens:4|characters:5|{parts}"),
        ("bits per character, windows", f"tokens:4|characters:5|{parts}"),
    ]
    values = [score.value for score in scores]
    expected = [2 * math.log(2), 1.6, 4.0, 3 * math.log(2), 2.4]
    assert values == pytest.approx(expected)
    assert text_scores(carried, None, 0, 5) == scores[:3]


@pytest.mark.parametrize(
    ("unknown", "lossless", "told"),
    [
        (0.0, True, ""),
        (0.0, False, "|lossy"),
        (0.01328, True, "|unknown:0.013"),
        (0.25, False, "|unknown:0.25|lossy"),
        (1e-6, True, "|unknown:1e-06"),
    ],
)
def test_signatures_tell_what_makes_bits_cheap(unknown: float, lossless: bool, told: str) -> None:
    scores = text_scores(Loss(1.0, 4), Loss(1.0, 4), 3, 5, unknown=unknown, lossless=lossless)
    assert {score.signature for score in scores} == {
        f"tokens:4|characters:5|state:carried{told}",
        f"tokens:4|characters:5|state:zero every 3 tokens{told}",
    }
