"""Small models and batches for the checks: the same on every device."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.data.layout import flatten, make_batch
from seq2seq.data.series.panel import Columns
from seq2seq.models.language_model import LanguageModel, LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tasks.forecasting.batches import SeriesBatch
from seq2seq.tasks.forecasting.modes import MODES
from seq2seq.tasks.forecasting.network import Forecasting, NetworkConfig, shape_of
from seq2seq.tensors import Batch, Padded, TextBatch

VOCABULARY = 60
WIDTH = 32


def translator(
    cell: str = "lstm",
    attention: str = "general",
    *,
    feeding: bool = False,
    tied: bool = True,
    bidirectional: bool = True,
    dropout: float = 0.0,
    strength: float = 1.0,
) -> Seq2Seq:
    """Returns an encoder-decoder with random weights in float64; ``strength`` multiplies them."""
    torch.manual_seed(1)
    config = Seq2SeqConfig(
        embedding_size=WIDTH,
        tie_embeddings=tied,
        output_dropout=dropout,
        encoder=EncoderConfig(
            cell=cell, layers=2, hidden_size=WIDTH, dropout=dropout, bidirectional=bidirectional
        ),
        decoder=DecoderConfig(
            cell=cell,
            layers=2,
            hidden_size=WIDTH,
            dropout=dropout,
            attention=attention,
            input_feeding=feeding,
        ),
    )
    model: Seq2Seq = spread(build_seq2seq(config, VOCABULARY, VOCABULARY), strength)
    return model


def language_model(
    cell: str = "lstm", dropout: float = 0.0, strength: float = 1.0
) -> LanguageModel:
    """Returns a language model with random weights in float64."""
    torch.manual_seed(2)
    layers = RecurrentConfig(
        cell=cell, layers=2, hidden_size=WIDTH, dropout=dropout, locked_dropout=True
    )
    config = LanguageModelConfig(
        embedding_size=WIDTH, layers=layers, output_dropout=dropout, activation=0.1, slowness=0.1
    )
    model: LanguageModel = spread(build_language_model(config, VOCABULARY), strength)
    return model


def forecaster(cell: str = "gru", dropout: float = 0.0, strength: float = 1.0) -> Forecasting:
    """Returns a network that forecasts two columns, numbers of which are missing, in float64."""
    torch.manual_seed(3)
    config = NetworkConfig(
        window=12,
        horizon=4,
        head="gaussian",
        output_dropout=dropout,
        layers=RecurrentConfig(cell=cell, layers=2, hidden_size=WIDTH, dropout=dropout),
    )
    shape = shape_of(config, Columns(("one", "other")), masked=True)
    model: Forecasting = spread(Forecasting(config, shape), strength)
    return model


def spread(model: Any, strength: float) -> Any:
    """Multiplies all weights, and gives biases that are not zero: each must be seen to be added."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(strength)
            if parameter.dim() == 1:
                parameter.uniform_(-0.3, 0.3)
    return model.double()


def ids(rows: int, seed: int = 0, most: int = 12) -> list[list[int]]:
    """Returns sequences of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randint(4, VOCABULARY, (rows, most), generator=generator).tolist()
    return [row[: 1 + (5 * index + seed) % most] for index, row in enumerate(table)]


def pairs(rows: int = 13, seed: int = 0, most: int = 12) -> Batch:
    """Returns pairs of different lengths."""
    return make_batch(*flatten(ids(rows, seed, most)), *flatten(ids(rows, seed + 1, most)[::-1]))


def texts(rows: int = 5, steps: int = 10, seed: int = 0) -> TextBatch:
    """Returns stretches of text, the last of them short, of which every second one is fresh."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(4, VOCABULARY, (rows, steps + 1), generator=generator)
    lengths = torch.full((rows,), steps)
    lengths[-1] = steps // 2
    values[-1, steps // 2 + 1 :] = 0
    count = int(lengths.sum())
    fresh = torch.arange(rows) % 2 == 0
    ins = values[:, :-1].masked_fill(torch.arange(steps) >= lengths[:, None], 0)
    outs = values[:, 1:].masked_fill(torch.arange(steps) >= lengths[:, None], 0)
    return TextBatch(Padded(ins, lengths, count), Padded(outs, lengths, count), fresh)


def series(rows: int = 5, seed: int = 0) -> SeriesBatch:
    """Returns windows for a :func:`forecaster`; a fifth of their numbers is missing."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, 16, 2, generator=generator)
    values[torch.rand(values.shape, generator=generator) < 0.2] = torch.nan
    targets = MODES["direct"](forecaster().shape).arrange(values)
    none, scale = torch.zeros(rows, 16, 0), torch.ones(rows, 2)
    counts = tuple((~targets.isnan()).sum(dim=(1, 2)).tolist())
    history, ahead = values[:, :12], values[:, 12:]
    return SeriesBatch(history, none[:, :12], none, none[:, 0], ahead, scale, targets, counts)


def gradients(model: nn.Module) -> list[Tensor]:
    """Returns the gradients of all weights that have one."""
    return [one.grad for one in model.parameters() if one.grad is not None]


def padded(rows: Sequence[Sequence[int]]) -> Padded:
    """Returns sequences as a source."""
    return make_batch(*flatten(rows), *flatten(rows)).source
