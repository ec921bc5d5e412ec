import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seq2seq.training.averaging import RunningAverage, copy


def test_three_updates() -> None:
    weights = {"a": torch.tensor([1.0, -2.0]), "b": torch.tensor(0.0)}
    average = RunningAverage(weights, 0.15)
    values = [([3.0, 0.0], 10.0), ([5.0, 1.0], 20.0), ([-1.0, 4.0], 0.0)]
    for step, (one, other) in enumerate(values):
        weights["a"].copy_(torch.tensor(one))
        weights["b"].fill_(other)
        average.follow(step)
    # Shares that stay: 1/10, then 0.15 (less than 2/11 and 3/12) twice.
    first = (0.1 * 1 + 0.9 * 3, 0.1 * -2 + 0.9 * 0, 0.1 * 0 + 0.9 * 10)
    second = [0.15 * old + 0.85 * new for old, new in zip(first, (5.0, 1.0, 20.0), strict=True)]
    third = [0.15 * old + 0.85 * new for old, new in zip(second, (-1.0, 4.0, 0.0), strict=True)]
    torch.testing.assert_close(average.values["a"], torch.tensor(third[:2]))
    torch.testing.assert_close(average.values["b"], torch.tensor(third[2]))
    torch.testing.assert_close(average.values["b"], torch.tensor(2.7525))


def test_the_share_that_stays_grows_up_to_the_decay() -> None:
    weight = torch.ones(1)
    average = RunningAverage({"": weight}, 0.5)
    shares = []
    for step in range(12):
        average.values[""].zero_()
        average.follow(step)
        shares.append(1 - average.values[""].item())
    expected = [(1 + step) / (10 + step) for step in range(8)] + [0.5] * 4
    torch.testing.assert_close(torch.tensor(shares), torch.tensor(expected))


@given(
    st.floats(0, 0.999),
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_the_average_lies_among_the_weights(decay: float, values: list[float]) -> None:
    weight = torch.tensor(values[0])
    average = RunningAverage({"": weight}, decay)
    for step, value in enumerate(values):
        weight.fill_(value)
        average.follow(step)
    found = average.values[""].item()
    assert min(values) - 1e-3 <= found <= max(values) + 1e-3


def test_the_model_has_the_average_for_a_while_only() -> None:
    layer = nn.Linear(2, 1)
    weights = {name: one.detach() for name, one in layer.named_parameters()}
    average = RunningAverage(weights, 0.9)
    first = {name: one.clone() for name, one in weights.items()}
    with torch.no_grad():
        layer.weight.add_(1)
        layer.bias.sub_(1)
    then = {name: one.clone() for name, one in weights.items()}
    try:
        with average.applied():
            assert layer.weight.equal(first["weight"])
            assert layer.bias.equal(first["bias"])
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert layer.weight.equal(then["weight"])
    assert layer.bias.equal(then["bias"])
    assert average.values["weight"].equal(first["weight"])


def test_copies_are_by_name() -> None:
    one, other = {"a": torch.zeros(2), "b": torch.ones(1)}, {"b": torch.zeros(1)}
    copy(one, other)
    assert other["b"].item() == 1
    one["b"].zero_()
    assert other["b"].item() == 1
