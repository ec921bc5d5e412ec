"""Steps of cells as their papers write them, for one vector."""

import torch
from torch import Tensor

from seq2seq.nn.norm_cells import NormCell, NormLstm


def normalised(values: Tensor) -> Tensor:
    """Returns numbers of mean 0 and variance 1 (Ba et al. 2016, equation 3)."""
    centred = values - values.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt()


def norm_step(layer: NormCell, value: Tensor, state: Tensor) -> Tensor:
    """Runs one step of a cell with layer normalisation; returns the new state."""
    size = layer.hidden_size
    summed = layer.weight_input @ value + layer.weight_recurrent @ state[:size]
    parts = (torch.split(part, size) for part in (summed, layer.gain, layer.bias))
    blocks = zip(*parts, strict=True)
    gates = [gain * normalised(block) + bias for block, gain, bias in blocks]
    if not isinstance(layer, NormLstm):
        return torch.tanh(gates[0])
    enter, forget, leave = (1 / (1 + torch.exp(-gates[place])) for place in (0, 1, 3))
    cell = forget * state[size:] + enter * torch.tanh(gates[2])
    seen = layer.norm.weight * normalised(cell) + layer.norm.bias
    return torch.cat([leave * torch.tanh(seen), cell])
