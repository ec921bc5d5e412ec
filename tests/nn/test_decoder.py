from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.errors import ConfigError
from seq2seq.nn.attention import ATTENTIONS
from seq2seq.nn.decoder import DecoderConfig, Memory, RecurrentDecoder
from seq2seq.nn.kernel_cells import KernelCell

SOURCE = torch.tensor([4, 2, 3])


def decoder_of(**settings: Any) -> RecurrentDecoder:
    torch.manual_seed(1)
    config = DecoderConfig(hidden_size=6, **{"dropout": 0.0, "input_dropout": None, **settings})
    return RecurrentDecoder(config, input_size=5, memory_size=7, output_size=4).double()


def memory_of(decoder: RecurrentDecoder) -> Memory:
    values = torch.randn(3, 4, 7, dtype=torch.double)
    return decoder.remember(values, torch.arange(4) < SOURCE[:, None])


def first_state(decoder: RecurrentDecoder, rows: int) -> Tensor:
    layers = decoder.layers
    return torch.randn(rows, len(layers.layers), layers.state_size, dtype=torch.double)


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("attention", ["additive", "general", "none"])
def test_beams_of_one_step_do_not_see_each_other(attention: str, feeding: bool) -> None:
    decoder = decoder_of(attention=attention, input_feeding=feeding, layers=2)
    memory = memory_of(decoder)
    inputs = torch.randn(3, 2, 5, dtype=torch.double)
    state = decoder.start(first_state(decoder, 6))
    for _ in range(2):  # the second step has something to feed
        outputs, new, weights = decoder.step(inputs, state, memory)
        for place in range(2):
            rows = torch.arange(3) * 2 + place
            one = inputs[:, place : place + 1]
            alone, its_state, its_weights = decoder.step(one, state.select(rows), memory)
            torch.testing.assert_close(outputs[:, place], alone[:, 0])
            torch.testing.assert_close(new.layers[rows], its_state.layers)
            torch.testing.assert_close(new.feed[rows], its_state.feed)
            torch.testing.assert_close(weights[:, place], its_weights[:, 0])
        state = new


@pytest.mark.parametrize("feeding", [False, True])
def test_selecting_rows_before_or_after_a_step_is_the_same(feeding: bool) -> None:
    decoder = decoder_of(input_feeding=feeding)
    memory, state = memory_of(decoder), decoder.start(first_state(decoder, 3))
    inputs, rows = torch.randn(3, 1, 5, dtype=torch.double), torch.tensor([2, 0, 0])
    outputs, after, _ = decoder.step(inputs, state, memory)
    picked, then, _ = decoder.step(inputs[rows], state.select(rows), memory.select(rows))
    torch.testing.assert_close(outputs[rows], picked)
    torch.testing.assert_close(after.select(rows).layers, then.layers)
    torch.testing.assert_close(after.select(rows).feed, then.feed)


@pytest.mark.parametrize("feeding", [False, True])
def test_without_attention_or_memory_the_decoder_looks_nowhere(feeding: bool) -> None:
    decoder = decoder_of(attention="none", input_feeding=feeding)
    inputs = torch.randn(3, 2, 5, dtype=torch.double)
    state = decoder.start(first_state(decoder, 3))
    outputs, _ = decoder(inputs, state, None)
    step, _, nothing = decoder.step(inputs[:, :1], state, None)
    looked, _, zeros = decoder.step(inputs[:, :1], state, memory_of(decoder))
    torch.testing.assert_close(step[:, 0], outputs[:, 0])
    assert looked.equal(step)
    assert nothing.shape == (3, 1, 0)
    assert zeros.equal(torch.zeros(3, 1, 4, dtype=torch.double))


@pytest.mark.parametrize("output_size", [0, 4])
def test_the_layers_own_vectors_come_out_where_nothing_joins_them(output_size: int) -> None:
    config = DecoderConfig(hidden_size=6, dropout=0.0, attention="none", layers=2)
    decoder = RecurrentDecoder(config, 5, 0, output_size).double()
    state = decoder.start(first_state(decoder, 3))
    inputs = torch.randn(3, 4, 5, dtype=torch.double)
    outputs, final = decoder(inputs, state, None)
    hidden, layers = decoder.layers(inputs, state.layers)
    step, _, _ = decoder.step(inputs[:, :1], state, None)
    torch.testing.assert_close(step[:, 0], outputs[:, 0])
    assert final.layers.equal(layers)
    if output_size:
        assert decoder.output_projection is not None
        assert outputs.equal(torch.tanh(decoder.output_projection(hidden)))
    else:
        assert decoder.output_projection is None
        assert outputs.equal(hidden)


def layer_inputs(decoder: RecurrentDecoder, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Runs the decoder over 4 sequences of 40 steps of ones; returns what each layer read."""
    seen: dict[KernelCell, list[Tensor]] = {}
    sequence, step = KernelCell.forward, KernelCell.step

    def reading(
        layer: KernelCell, inputs: Tensor, state: Tensor, lengths: None = None
    ) -> tuple[Tensor, Tensor]:
        seen.setdefault(layer, []).append(inputs)
        return sequence(layer, inputs, state, lengths)

    def stepping(layer: KernelCell, inputs: Tensor, state: Tensor) -> Tensor:
        seen.setdefault(layer, []).append(inputs[:, None])
        return step(layer, inputs, state)

    with monkeypatch.context() as patch:
        patch.setattr(KernelCell, "forward", reading)
        patch.setattr(KernelCell, "step", stepping)
        state = decoder.start(first_state(decoder, 20))
        decoder(torch.ones(20, 40, 5, dtype=torch.double), state, None)
    return [torch.cat(parts, dim=1) for parts in seen.values()]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("feeding", [False, True])
def test_both_ways_of_running_draw_the_same_kind_of_noise(
    feeding: bool, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoder_of(
        attention="none", input_feeding=feeding, layers=2, dropout=0.4, locked_dropout=locked
    )
    lowest, highest = layer_inputs(decoder, monkeypatch)
    assert lowest.shape == (20, 40, 9 if feeding else 5)
    for noisy in (lowest[:, 1:], highest[:, 1:]):  # nothing is fed into the first step
        zero = noisy == 0
        assert zero.double().mean().item() == pytest.approx(0.4, abs=0.12 if locked else 0.03)
        same = [before.equal(after) for before, after in pairwise(zero.unbind(1))]
        assert all(same) if locked else not any(same)
        rows = [one.equal(other) for one, other in pairwise(zero.unbind(0))]
        assert not all(rows)
    words = lowest[..., :5]
    torch.testing.assert_close(words[words != 0], torch.full_like(words[words != 0], 1 / 0.6))
    for quiet in layer_inputs(decoder.eval(), monkeypatch):
        assert quiet[:, 1:].ne(0).all()


@pytest.mark.parametrize("locked", [False, True])
def test_a_fed_sequence_in_training_is_its_steps_with_the_same_noise(locked: bool) -> None:
    decoder = decoder_of(input_feeding=True, dropout=0.4, locked_dropout=locked, layers=2)
    memory, state = memory_of(decoder), decoder.start(first_state(decoder, 3))
    inputs = torch.randn(3, 5, 5, dtype=torch.double)
    torch.manual_seed(5)
    expected, final = decoder(inputs, state, memory)
    torch.manual_seed(5)
    masks = decoder.layers.noise(inputs)
    layers, feed = state.layers, state.feed
    for step in range(5):
        rows = torch.cat([inputs[:, step], feed], dim=1)
        own = [mask[:, step] for mask in masks if mask is not None]
        hidden, layers = decoder.layers.step(rows, layers, own)
        assert decoder.attention is not None
        assert decoder.output_projection is not None
        context, _ = decoder.attention(hidden[:, None], memory.keys, memory.values, memory.valid)
        feed = torch.tanh(decoder.output_projection(torch.cat([context[:, 0], hidden], dim=1)))
        torch.testing.assert_close(feed, expected[:, step])
    torch.testing.assert_close(final.layers, layers)
    torch.testing.assert_close(final.feed, feed)


def test_refused_settings() -> None:
    with pytest.raises(ConfigError, match=r"^output_size: must be at least 0, got -1$"):
        DecoderConfig(output_size=-1)
    with pytest.raises(ConfigError, match=r"^layers: must be at least 1, got 0$"):
        DecoderConfig(layers=0)
    accepted = "^weight_drop: must be 0 where input_feeding is true, got 0.5$"
    with pytest.raises(ConfigError, match=accepted):
        DecoderConfig(weight_drop=0.5, input_feeding=True)
    assert DecoderConfig(weight_drop=0.5).weight_drop == 0.5
    accepted = f"attention: must be one of {', '.join(ATTENTIONS)}, got 'dots'; did you mean 'dot'?"
    with pytest.raises(ConfigError) as error:
        DecoderConfig(attention="dots")
    assert str(error.value) == accepted
