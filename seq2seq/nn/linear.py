"""Linear layers for search: weights packed once, as float or as eight-bit integers."""

import logging
from functools import cache
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

SearchPrecision = Literal["float32", "int8"]
LARGEST = 127
log = logging.getLogger("seq2seq")


@runtime_checkable
class Linear(Protocol):
    """A packed weight: ``x W^T + b``."""

    batch_invariant: bool
    """Whether a row's result is the same to the bit, whatever the other rows and their number."""

    def __call__(
        self, inputs: Float[Tensor, "R F"], base: Float[Tensor, "*R G"]
    ) -> Float[Tensor, "R G"]:
        """Returns the rows' products, added to ``base``: one bias for all rows, or one each.

        A base of one each may be overwritten.
        """
        ...


def linear(
    weight: Float[Tensor, "G F"], precision: SearchPrecision, *, bounded: bool = False
) -> Linear:
    """Packs a weight: the seam at which search is float or int8.

    ``bounded`` says that inputs are in [-1, 1], which saves int8 the search for a row's largest.
    """
    device = weight.device.type
    if weight.dtype != torch.float32:
        return FloatLinear(weight)
    if precision == "int8" and has_int8(device):
        return BoundedInt8Linear(weight) if bounded else Int8Linear(weight)
    return PackedLinear(weight) if has_packed(device) else FloatLinear(weight)


class FloatLinear:
    """torch's own product, for all devices."""

    batch_invariant = False

    def __init__(self, weight: Float[Tensor, "G F"]) -> None:
        self.weight = weight.t()

    def __call__(
        self, inputs: Float[Tensor, "R F"], base: Float[Tensor, "*R G"]
    ) -> Float[Tensor, "R G"]:
        """Returns the rows' products, added to ``base``."""
        return torch.addmm(base, inputs, self.weight)


class PackedLinear:
    """Weights in the layout of oneDNN's kernels.

    On a processor, 1.1 to 2 times as fast as torch's own product at the sizes of a search.
    """

    batch_invariant = True
    ROWS = 64
    """What the layout is chosen for; others work, too."""

    def __init__(self, weight: Float[Tensor, "G F"]) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), self.ROWS)

    def __call__(
        self, inputs: Float[Tensor, "R F"], base: Float[Tensor, "*R G"]
    ) -> Float[Tensor, "R G"]:
        """Returns the rows' products, added to ``base``."""
        product = torch.ops.mkldnn._linear_pointwise
        found: Tensor = (
            product(inputs, self.weight, base, "none", [], "")
            if base.dim() == 1
            else product.binary(inputs, base, self.weight, None, "add")
        )
        return found


class Int8Linear:
    """Eight bits a number, with a scale for each row of ``W`` and for each row of ``x``.

    Symmetric rounding to -127..127. The sums are exact in 32 bits.
    """

    batch_invariant = True

    def __init__(self, weight: Float[Tensor, "G F"]) -> None:
        rounded, scales = quantise(weight.float())
        self.weight = rounded.t()
        self.scales = scales[:, 0]

    def __call__(
        self, inputs: Float[Tensor, "R F"], base: Float[Tensor, "*R G"]
    ) -> Float[Tensor, "R G"]:
        """Returns the rows' products, added to ``base``."""
        rounded, scales = quantise(inputs)
        return torch.addcmul(base, torch._int_mm(rounded, self.weight) * self.scales, scales)


class BoundedInt8Linear:
    """The same for ``x`` in [-1, 1], which needs no scales of its own.

    Sums times scales plus base, each rounded: oneDNN's kernel, which does it all at once, gives the
    same bits as torch's operations, which are faster for a single row.
    """

    batch_invariant = True
    ZERO = 128
    """What stands for 0 in eight bits without a sign, which the kernel takes."""

    def __init__(self, weight: Float[Tensor, "G F"], fused: bool | None = None) -> None:
        rounded, scales = quantise(weight.float())
        self.weight = rounded.t()
        self.scales = scales[:, 0] / LARGEST
        # As tensors: torch takes longer to wrap a number than to multiply one row by it.
        self.largest, self.zero = scales.new_tensor(LARGEST), scales.new_tensor(self.ZERO)
        self.middle = self.zero + 0.5  # what truncation makes rounding of
        self.packed: tuple[Tensor, Tensor, Tensor] | None = None
        if has_fused(weight.device.type) if fused is None else fused:
            packed = torch.ops.onednn.qlinear_prepack(rounded, None)
            # The inputs' step must be a power of two: all roundings are then those of torch.
            zeros = torch.zeros(len(weight), dtype=torch.long)
            self.packed = packed, self.scales * self.ZERO, zeros

    def __call__(
        self, inputs: Float[Tensor, "R F"], base: Float[Tensor, "*R G"]
    ) -> Float[Tensor, "R G"]:
        """Returns the rows' products, added to ``base``."""
        steps = torch.mul(inputs, self.largest).add_(self.middle)
        if self.packed is None or len(inputs) == 1:
            rounded = steps.sub_(self.zero).floor_().char()
            return torch._int_mm(rounded, self.weight).mul(self.scales).add_(base)
        given = (steps.to(torch.uint8), 1 / self.ZERO, self.ZERO, *self.packed)
        out = (1.0, 0, torch.float32)
        product = torch.ops.onednn.qlinear_pointwise
        found: Tensor = (
            product(*given, base, *out, "none", [], "")
            if base.dim() == 1
            else product.binary(*given, base, None, *out, 1.0, 0, "sum", 1.0, "none", [], "")
        )
        return found


def quantise(
    values: Float[Tensor, "R F"],
) -> tuple[Int[Tensor, "R F"], Float[Tensor, "R 1"]]:
    """Returns each row's integers and the scale that makes them its values again."""
    scales = values.abs().amax(dim=1, keepdim=True).div_(LARGEST)
    # A row of zeros stays one.
    steps = values / scales.clamp(min=torch.finfo(values.dtype).tiny)
    return steps.round_().char(), scales


@cache
def has_packed(device: str) -> bool:
    """Returns whether this torch has oneDNN's packed product, and rows do not touch each other."""
    if device != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    weight = torch.linspace(-1, 1, 96 * 40).sin().view(96, 40)
    rows = torch.linspace(-1, 1, 9 * 40).cos().view(9, 40)
    try:
        packed, bias = PackedLinear(weight), weight[:, 0].contiguous()
        together = packed(rows, bias)
        alone = torch.cat([packed(row[None], bias[None]) for row in rows])
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    expected = functional.linear(rows, weight, bias)
    return bool(alone.equal(together) and (together - expected).abs().max() < 1e-4)


@cache
def has_int8(device: str) -> bool:
    """Returns whether torch's product of integers is there and right; warns where it is not.

    On a GPU it takes some numbers of rows and columns only, and a search needs any.
    """
    # Both signs and the largest sums: kernels that saturate at 16 bits get this wrong.
    left = torch.full((32, 64), 127, dtype=torch.int8)
    right = torch.full((64, 32), -127, dtype=torch.int8)
    right[:, ::2] = 127
    expected = torch.tensor([1, -1], dtype=torch.int32).repeat(32, 16) * (64 * 127 * 127)
    try:
        correct = device == "cpu" and torch._int_mm(left, right).equal(expected)
    except (AttributeError, RuntimeError, NotImplementedError):
        correct = False
    if not correct:
        log.warning(
            "int8: this torch has no right product of integers on %s; float32 is used", device
        )
    return correct


@cache
def has_fused(device: str) -> bool:
    """Returns whether oneDNN's product of integers gives the bits of torch's operations."""
    if device != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    # Whole rows of one sign: kernels that saturate at 16 bits get this wrong.
    inputs = torch.linspace(-9, 9, 9 * 64).sin().view(9, 64)
    inputs[0], inputs[1] = 1, -1
    weight = torch.linspace(-50, 50, 96 * 64).cos().view(96, 64)
    weight[0], weight[1] = 1, -1
    bases = torch.linspace(-3, 5, 9 * 96).cos().view(9, 96)
    plain = BoundedInt8Linear(weight, fused=False)
    try:
        fused = BoundedInt8Linear(weight, fused=True)
        products = [
            (fused(inputs, base.clone()), plain(inputs, base)) for base in (bases, bases[0])
        ]
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False
    return all(fast.equal(exact) for fast, exact in products)
