import numpy as np
import torch

from seq2seq.data.documents.batches import ReadThrough, TextBatchConfig, TextBatches
from seq2seq.data.documents.store import TextStore
from seq2seq.evaluation.text_loss import measure
from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import EncoderConfig, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.search.config import SearchConfig
from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors import Batch, Padded
from tests.losses import outcome
from tests.searching import greedily

SYMBOLS, LONGEST = 6, 5


def sources(count: int) -> Padded:
    lengths = torch.randint(1, LONGEST + 1, (count,))
    values = torch.randint(4, 4 + SYMBOLS, (count, LONGEST))
    return Padded(values.masked_fill(torch.arange(LONGEST) >= lengths[:, None], PAD), lengths)


def reversed_pairs(source: Padded) -> Batch:
    """Pairs every source with itself, read backwards."""
    steps = torch.arange(LONGEST)
    index = torch.where(source.valid, source.lengths[:, None] - 1 - steps, steps)
    mirrored, ends = source.values.gather(1, index), torch.full((len(index), 1), PAD)
    target_in = torch.cat([torch.full_like(ends, BOS), mirrored], dim=1)
    target_out = torch.cat([mirrored, ends], dim=1).scatter(1, source.lengths[:, None], EOS)
    lengths = source.lengths + 1
    return Batch(source, Padded(target_in, lengths), Padded(target_out, lengths))


def test_reversing_is_learnt() -> None:
    torch.manual_seed(1)
    config = Seq2SeqConfig(
        embedding_size=32,
        output_dropout=0.0,
        encoder=EncoderConfig(hidden_size=64, dropout=0.0),
        decoder=DecoderConfig(hidden_size=64, dropout=0.0),
    )
    model = build_seq2seq(config, 4 + SYMBOLS, 4 + SYMBOLS)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(160):
        batch = reversed_pairs(sources(64))
        optimiser.zero_grad()
        loss = outcome(model, batch).nats / batch.target_out.lengths.sum()
        torch.autograd.backward(loss)
        optimiser.step()
    model.eval()
    asked = sources(300)
    answers = greedily(model, asked, SearchConfig(beam_size=1))
    right = [
        list(answer.ids) == row[:length].flip(0).tolist()
        for answer, row, length in zip(answers, asked.values, asked.lengths.tolist(), strict=True)
    ]
    assert sum(right) / len(right) >= 0.95


def test_a_text_that_repeats_itself_is_learnt() -> None:
    torch.manual_seed(1)
    ids = np.array([BOS, *[4, 5, 6] * 200, EOS], np.uint16)
    store = TextStore(ids, np.array([len(ids)]), 600)
    layers = RecurrentConfig(cell="gru", hidden_size=16, dropout=0.0)
    config = LanguageModelConfig(embedding_size=8, output_dropout=0.0, layers=layers)
    model = build_language_model(config, 7)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-2)
    batches, carried = TextBatches(store, TextBatchConfig(rows=4, steps=16), seed=1), None
    for epoch in range(5):
        for batch in batches.epoch(epoch):
            optimiser.zero_grad()
            found = outcome(model, batch, 0.0, carried)
            carried = found.carried
            torch.autograd.backward(found.nats / batch.target_out.lengths.sum())
            optimiser.step()
    assert measure(model.eval(), ReadThrough(store)).per_token < 0.05
