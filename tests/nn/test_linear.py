import logging
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seq2seq.nn import linear as module
from seq2seq.nn.linear import (
    BoundedInt8Linear,
    FloatLinear,
    Int8Linear,
    Linear,
    PackedLinear,
    has_fused,
    has_int8,
    has_packed,
    linear,
    quantise,
)

PACKED = pytest.mark.skipif(not has_packed("cpu"), reason="this torch has no packed product")
FUSED = pytest.mark.skipif(not has_fused("cpu"), reason="this torch has no fused product")
INT8 = pytest.mark.skipif(not has_int8("cpu"), reason="this torch has no product of integers")
KINDS = [
    FloatLinear,
    pytest.param(PackedLinear, marks=PACKED),
    pytest.param(Int8Linear, marks=INT8),
    pytest.param(partial(BoundedInt8Linear, fused=False), marks=INT8),
    pytest.param(partial(BoundedInt8Linear, fused=True), marks=[INT8, FUSED]),
]
SIZES = [(1, 1), (67, 33), (128, 512), (40, 200)]


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_products_are_added_to_their_base(kind: Any, width: int, height: int) -> None:
    rows, weight, bias = numbers(9, width).tanh(), numbers(height, width), numbers(height)
    layer: Linear = kind(weight)
    expected = functional.linear(rows, weight)
    slack = torch.full_like(expected, 1e-4)
    if isinstance(layer, Int8Linear | BoundedInt8Linear):
        # Each number is off by at most half a step, of 127 in the largest.
        bounded = isinstance(layer, BoundedInt8Linear)
        largest = torch.ones(9) if bounded else rows.abs().amax(dim=1)
        steps = largest[:, None] / 254, weight.abs().amax(dim=1) / 254
        slack += steps[0] * weight.abs().sum(dim=1) + steps[1] * rows.abs().sum(dim=1)[:, None]
        slack += width * steps[0] * steps[1]
    for base in (bias, numbers(9, height)):
        given, before = base.clone(), rows.clone()
        assert ((layer(rows, given) - expected - base).abs() <= slack).all()
        assert rows.equal(before)
        assert given.equal(base) or base is not bias  # a bias is needed again


@PACKED
@INT8
@pytest.mark.parametrize("kind", [PackedLinear, Int8Linear, BoundedInt8Linear])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_row_does_not_see_the_others(kind: Any, width: int, height: int) -> None:
    layer, bias = kind(numbers(height, width)), numbers(height)
    rows = numbers(70, width).tanh()
    together = layer(rows, bias)
    assert layer.batch_invariant
    for count in (1, 2, 3, 5, 8, 17, 64):
        assert layer(rows[:count], bias).equal(together[:count])
        assert layer(rows[:count], bias.expand(count, -1).contiguous()).equal(together[:count])


def test_rounding_to_eight_bits() -> None:
    rounded, scales = quantise(torch.tensor([[0.0, 0.0], [12.7, -6.36], [-127.0, 63.4]]))
    assert rounded.tolist() == [[0, 0], [127, -64], [-127, 63]]
    assert scales.flatten().tolist() == pytest.approx([0, 0.1, 1])


@INT8
@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=FUSED)])
def test_bounded_inputs_have_one_scale(fused: bool) -> None:
    layer = BoundedInt8Linear(torch.tensor([[127.0, -127.0]]), fused)
    rows = torch.tensor([[1.0, -1.0], [0.5, 0.25]])  # 64 and 32 of 127
    expected = [[254.0 + 3], [32.0 + 3]]
    torch.testing.assert_close(layer(rows, torch.tensor([3.0])), torch.tensor(expected))


@INT8
@FUSED
@pytest.mark.parametrize(("width", "height"), [*SIZES, (512, 2048), (256, 4273)])
def test_the_fused_product_gives_the_bits_of_torchs_operations(width: int, height: int) -> None:
    weight, bias = numbers(height, width), numbers(height)
    weight[0], weight[-1] = 1, -1  # with rows of one sign: the largest sums there are
    plain, fused = (BoundedInt8Linear(weight, fused) for fused in (False, True))
    for count in (1, 2, 15, 64, 320):
        rows = numbers(count, width).tanh()
        rows[0], rows[-1] = 1, -1
        assert fused(rows, bias).equal(plain(rows, bias))
        bases = numbers(count, height)
        assert fused(rows, bases.clone()).equal(plain(rows, bases))


@INT8
@PACKED
def test_what_is_chosen() -> None:
    weight = numbers(4, 4)
    assert isinstance(linear(weight, "float32"), PackedLinear)
    assert isinstance(linear(weight, "int8"), Int8Linear)
    assert isinstance(linear(weight, "int8", bounded=True), BoundedInt8Linear)
    assert isinstance(linear(weight.double(), "int8"), FloatLinear)


def wrong(*_: Any, **__: Any) -> Tensor:
    return torch.zeros(1)


def absent(*_: Any, **__: Any) -> Tensor:
    raise RuntimeError("no kernel")


@pytest.mark.parametrize("product", [wrong, absent])
def test_without_a_right_product_of_integers_floats_are_used(
    product: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "_int_mm", product)
    has_int8.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "seq2seq"):
            layers = [linear(numbers(4, 4), "int8") for _ in range(2)]
    finally:
        has_int8.cache_clear()
    assert not any(isinstance(layer, Int8Linear | BoundedInt8Linear) for layer in layers)
    assert [record.getMessage() for record in caplog.records] == [
        "int8: this torch has no right product of integers on cpu; float32 is used"
    ]


def test_on_a_gpu_floats_are_used(caplog: pytest.LogCaptureFixture) -> None:
    has_int8.cache_clear()
    assert not has_int8("cuda")
    assert "int8: this torch has no right product of integers on cuda" in caplog.text


@pytest.mark.parametrize("product", [wrong, absent])
def test_without_a_fused_product_torchs_operations_are_used(
    product: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.onednn, "qlinear_pointwise", product)
    has_fused.cache_clear()
    try:
        assert not has_fused("cpu")
        assert BoundedInt8Linear(numbers(4, 4)).packed is None
    finally:
        has_fused.cache_clear()
    assert not has_fused("cuda")


@pytest.mark.parametrize("product", [wrong, absent])
def test_without_a_packed_product_torchs_own_is_used(
    product: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.PackedLinear, "__call__", product)
    has_packed.cache_clear()
    try:
        assert isinstance(linear(numbers(4, 4), "float32"), FloatLinear)
    finally:
        has_packed.cache_clear()
    assert not has_packed("cuda")
