import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seq2seq.errors import ConfigError
from seq2seq.training.optimisation import OptimizerConfig, ScheduleConfig, make_optimizer

NAMES = ("constant", "inverse_sqrt", "cosine", "plateau", "trapezoid")


@pytest.mark.parametrize(
    ("name", "step", "progress", "plateaus", "share"),
    [
        ("constant", 4, 0.9, 3, 1.0),
        ("inverse_sqrt", 4, 0.0, 0, math.sqrt(4 / 5)),
        ("inverse_sqrt", 15, 0.0, 0, 0.5),
        ("inverse_sqrt", 399, 0.0, 0, 0.1),
        ("cosine", 4, 0.0, 0, 1.0),
        ("cosine", 4, 0.5, 0, 0.55),
        ("cosine", 4, 1 / 3, 0, 0.1 + 0.9 * 0.75),
        ("cosine", 4, 1.0, 0, 0.1),
        ("trapezoid", 4, 0.75, 0, 1.0),
        ("trapezoid", 4, 0.9, 0, 0.1 + 0.9 * 0.4),
        ("trapezoid", 4, 1.0, 0, 0.1),
        ("plateau", 4, 0.9, 0, 1.0),
        ("plateau", 4, 0.9, 2, 0.25),
        ("plateau", 4, 0.9, 9, 0.1),
    ],
)
def test_schedules(name: Any, step: int, progress: float, plateaus: int, share: float) -> None:
    schedule = ScheduleConfig(name=name, warmup=4, floor=0.1, factor=0.5)
    assert schedule.share(step, progress, plateaus) == pytest.approx(share)


@pytest.mark.parametrize("name", NAMES)
def test_all_schedules_warm_up_first(name: Any) -> None:
    schedule = ScheduleConfig(name=name, warmup=4)
    assert [schedule.share(step, 0.0, 0) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert ScheduleConfig(name=name, warmup=0).share(0, 0.0, 0) == 1.0


@given(
    st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 10**6), st.floats(0, 1),
    st.integers(0, 2000), st.floats(0, 1),
)  # fmt: skip
def test_shares_are_shares(
    name: Any, warmup: int, step: int, progress: float, plateaus: int, floor: float
) -> None:
    share = ScheduleConfig(name=name, warmup=warmup, floor=floor).share(step, progress, plateaus)
    assert 0 <= share <= 1
    if name in ("cosine", "plateau", "trapezoid") and step >= warmup:
        assert share >= floor - 1e-12


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "adam"},
        {"name": "adamw", "weight_decay": 0.01},
        {"name": "sgd"},
        {"name": "sgd", "momentum": 0.5},
    ],
)
def test_each_optimizer_goes_downhill(settings: dict[str, Any]) -> None:
    point = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = make_optimizer(OptimizerConfig(learning_rate=0.05, **settings), [point])
    values = []
    for _ in range(5):
        loss = (point**2).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values.append(loss.item())
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] - 0.5


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        ({"name": "adam", "weight_decay": 0.1}, torch.optim.Adam),
        ({"name": "adamw", "weight_decay": 0.1}, torch.optim.AdamW),
        ({"name": "sgd", "momentum": 0.5}, torch.optim.SGD),
    ],
)
def test_fused_kernels_take_the_steps_of_plain_ones(settings: dict[str, Any], plain: Any) -> None:
    config = OptimizerConfig(learning_rate=0.05, betas=(0.8, 0.9), **settings)
    kept = {"weight_decay": config.weight_decay, "foreach": False, "fused": False}
    own = {"momentum": 0.5} if config.name == "sgd" else {"betas": config.betas}
    points = [nn.Parameter(torch.linspace(-2, 3, 37)) for _ in range(2)]
    optimizers = [
        make_optimizer(config, points[:1]),
        plain(points[1:], config.learning_rate, **kept, **own),
    ]
    for _ in range(5):
        for point, optimizer in zip(points, optimizers, strict=True):
            optimizer.zero_grad()
            (point**4).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    torch.testing.assert_close(points[0], points[1], atol=1e-6, rtol=1e-6)


def test_sgd_takes_exactly_the_step_asked_for() -> None:
    point = nn.Parameter(torch.tensor([3.0]))
    optimizer = make_optimizer(OptimizerConfig(name="sgd", learning_rate=0.1), [point])
    (point**2).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert point.item() == pytest.approx(3 - 0.1 * 6)


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("warmup", -1, "at least 0"),
        ("floor", 1.5, r"in \[0, 1\]"),
        ("factor", 1.0, r"in \(0, 1\)"),
        ("patience", 0, "at least 1"),
    ],
)
def test_refused_schedules(key: str, value: Any, accepted: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: must be {accepted}, got {value}$"):
        ScheduleConfig(**{key: value})


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("learning_rate", 0.0, "above 0"),
        ("betas", (0.9, 1.0), r"in \[0, 1\)"),
        ("momentum", 1.0, r"in \[0, 1\)"),
        ("weight_decay", -0.1, "at least 0"),
        ("clip", -1.0, "at least 0"),
    ],
)
def test_refused_optimizers(key: str, value: Any, accepted: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: must be {accepted}, got "):
        OptimizerConfig(**{key: value})
