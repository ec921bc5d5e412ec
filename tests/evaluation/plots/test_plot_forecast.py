import logging
import sys
from datetime import date, datetime
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.evaluation.plots.forecast import (
    GREYS,
    MOST_COURSES,
    MOST_DOTS,
    MOST_SAMPLES,
    Course,
    _alone,
    _looks,
    _shortened,
    _spread,
    plot_errors,
    plot_forecast,
)

NAN = float("nan")
PNG = b"\x89PNG"


def course(
    values: Any = (1.0, 2.0, 3.0),
    point: Any = (4.0, 5.0),
    truth: Any = None,
    name: str = "bus",
    percents: Any = (80, 95),
    **others: Any,
) -> Course:
    """Returns a course whose 80 % interval is 0.8 above and below, and so on."""
    values, point = np.array(values, float), np.array(point, float)
    steps = np.arange(len(values) + len(point))
    return Course(
        name,
        steps[: len(values)],
        values,
        steps[len(values) :],
        point,
        {percent: (point - percent / 100, point + percent / 100) for percent in percents},
        np.full(len(point), NAN) if truth is None else np.array(truth, float),
        **others,
    )


def drawn(figure: Any, *, arranged: bool = False) -> Any:
    if not arranged:  # which is quicker
        figure.set_layout_engine("none")
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    return figure


def line(panel: Any, label: str) -> list[tuple[float, float]]:
    """Returns the points of the line that is called so."""
    (found,) = [one for one in panel.lines if one.get_label() == label]
    return [(float(x), float(y)) for x, y in found.get_xydata()]


def dots(panel: Any) -> list[tuple[float, float]]:
    points = [one.get_xydata() for one in panel.lines if one.get_marker() == "o"]
    return sorted((float(x), float(y)) for x, y in np.concatenate(points))


def shade(panel: Any, label: str) -> Any:
    (found,) = [one for one in panel.collections if one.get_label() == label]
    return found


def ends(panel: Any, label: str) -> set[tuple[float, float]]:
    """Returns the corners of an interval."""
    paths = shade(panel, label).get_paths()
    return {(float(x), round(float(y), 6)) for path in paths for x, y in path.vertices}


def bars(panel: Any) -> list[tuple[float, float, float]]:
    """Returns step, lower and upper end of intervals that have no neighbours."""
    segments = [found for one in panel.collections[1::2] for found in one.get_segments()]
    return [(x, round(low, 6), round(high, 6)) for (x, low), (_, high) in segments]


def named(figure: Any) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def ticks(panel: Any, axis: str = "x") -> list[str]:
    """Returns the labels that can be seen."""
    labels = getattr(panel, f"get_{axis}ticklabels")()
    low, high = getattr(panel, f"get_{axis}lim")()
    places = getattr(panel, f"get_{axis}ticks")()
    return [
        label.get_text()
        for label, place in zip(labels, places, strict=True)
        if low <= place <= high
    ]


def test_what_was_goes_on_as_what_may_come_and_what_came() -> None:
    figure = plot_forecast([course(truth=[3.5, 6.0])])
    (panel,) = figure.axes
    assert panel.get_title(loc="left") == "bus"
    assert line(panel, "history") == [(0, 1), (1, 2), (2, 3)]
    assert line(panel, "forecast") == [(2, 3), (3, 4), (4, 5)]
    assert line(panel, "what came") == [(2, 3), (3, 3.5), (4, 6)]
    assert dots(panel) == [(3, 3.5), (3, 4), (4, 5), (4, 6)]
    assert ends(panel, "80 %") == {(2, 3), (3, 3.2), (3, 4.8), (4, 4.2), (4, 5.8)}
    assert ends(panel, "95 %") == {(2, 3), (3, 3.05), (3, 4.95), (4, 4.05), (4, 5.95)}
    assert bars(panel) == []
    assert named(figure) == ["history", "forecast", "80 %", "95 %", "what came"]


def test_narrow_intervals_lie_dark_on_wide_ones() -> None:
    figure = plot_forecast([course(percents=(95, 50, 80.5))])
    (panel,) = figure.axes
    assert [one.get_label() for one in panel.collections][::2] == ["95 %", "80.5 %", "50 %"]
    brightness = [
        shade(panel, label).get_facecolor()[0, :3].sum() for label in ("50 %", "80.5 %", "95 %")
    ]
    assert brightness == sorted(set(brightness))
    assert named(figure)[2:] == ["50 %", "80.5 %", "95 %"]
    handles: list[Any] = figure.legends[0].legend_handles[2:]
    assert [sum(one.get_facecolor()[:3]) for one in handles] == pytest.approx(brightness)


def test_the_legend_names_what_there_is_once() -> None:
    samples = np.ones((2, MOST_SAMPLES + 30))
    nothing = course(percents=())
    assert named(plot_forecast([nothing])) == ["history", "forecast"]
    figure = plot_forecast([nothing, course(truth=[1, NAN]), course(samples=samples, percents=[9])])
    expected = ["history", "forecast", "9 %", "80 %", "95 %", "samples", "what came"]
    assert named(figure) == expected
    assert sum(one.get_alpha() is not None for one in figure.axes[2].lines) == MOST_SAMPLES


def test_what_is_missing_is_a_gap_and_what_is_alone_a_dot() -> None:
    one = course([NAN, 2, NAN, 4, 5, NAN], [6, NAN, 8], [NAN, NAN, NAN])
    (panel,) = plot_forecast([one]).axes
    assert line(panel, "forecast")[0] == (6, 6), "the last value is not known"
    assert dots(panel) == [(1, 2), (6, 6), (8, 8)]
    assert not any(label == "what came" for label in panel.get_legend_handles_labels()[1])
    assert bars(panel) == [
        *((6, 5.05, 6.95), (8, 7.05, 8.95)),
        *((6, 5.2, 6.8), (8, 7.2, 8.8)),
    ]


def test_numbers_that_are_infinite_leave_the_others_to_be_seen() -> None:
    one = course([1, 2, np.inf], [3, np.inf], [2, -np.inf])
    one.intervals[95][1][0] = np.inf
    (panel,) = drawn(plot_forecast([one])).axes
    low, high = panel.get_ylim()
    assert 0 < low < high < 5
    assert ends(panel, "95 %") == set()
    assert bars(panel) == [(3, 2.2, 3.8)]


def test_few_steps_are_dots_and_many_are_not() -> None:
    for steps, count in ((MOST_DOTS, 2 * MOST_DOTS), (MOST_DOTS + 1, 0)):
        (panel,) = plot_forecast([course(point=range(steps), truth=range(steps))]).axes
        assert len(dots(panel)) == count


def times(first: str, steps: int, frequency: str, zone: str | None = None) -> Any:
    return pd.date_range(first, periods=steps, freq=frequency, tz=zone)


@pytest.mark.parametrize(
    ("all_of_them", "shown"),
    [
        (times("2019-11-01", 61, "D"), "Dec"),
        (times("1950-01-01", 61, "MS"), "1952"),
        (times("2020-02-28", 61, "h"), "Feb-29"),
        (times("2020-02-28", 61, "h", "Europe/Berlin"), "Feb-29"),
        ([datetime(2020, 1, 1, hour) for hour in range(12)], "06:00"),
        ([date(2019 + year, 1, 1) for year in range(12)], "2024"),
        (range(5000, 5061), "5,020"),
        (np.arange(0, 61), "20"),
    ],
)
def test_times_of_all_kinds(all_of_them: Any, shown: str) -> None:
    count = len(all_of_them) - 2
    one = course(np.ones(count))
    figure = plot_forecast([Course("x", all_of_them[:count], *_rest(one, all_of_them[count:]))])
    assert shown in ticks(figure.axes[0])
    assert len(figure.axes[0].get_xticks()) < 14


def _rest(one: Course, ahead: Any) -> tuple[Any, ...]:
    return one.values, ahead, one.point, one.intervals, one.truth


def test_hours_are_those_of_the_zone() -> None:
    hours = times("2020-02-29", 14, "h", "Asia/Tokyo")
    one = course(np.arange(12))
    (panel,) = plot_forecast([Course("x", hours[:12], *_rest(one, hours[12:]))]).axes
    assert ticks(panel)[0] == "Feb-29"
    assert panel.get_xlim()[0] == pytest.approx(18321 - 9 / 24, abs=0.01), "days since 1970, UTC"


def test_thousands_are_separated() -> None:
    (panel,) = plot_forecast([course([1e6, 2e6, 3e6])]).axes
    assert "2,000,000" in ticks(panel, "y")


def test_panels_stand_in_order_and_those_left_out_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="seq2seq")
    one = course(percents=())
    few = plot_forecast([one, course(name="rail")])
    assert [panel.get_title(loc="left") for panel in few.axes] == ["bus", "rail"]
    assert caplog.messages == []
    many = plot_forecast([one] * (MOST_COURSES + 1))
    assert len(many.axes) == MOST_COURSES
    assert caplog.messages == [
        f"forecast: the picture shows the first {MOST_COURSES} of {MOST_COURSES + 1} series and "
        "columns"
    ]
    assert many.get_figheight() > few.get_figheight() > 4


def extents(figure: Any) -> list[Any]:
    """Returns the boxes of all texts beside the ticks, of a drawn figure."""
    renderer = drawn(figure, arranged=True).canvas.get_renderer()
    texts = [one for panel in figure.axes for one in [*panel.texts, panel._left_title]]
    boxes = [Text.get_window_extent(one, renderer) for one in texts]  # without leading lines
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
    return [box for box in boxes if box.width > 1]


@pytest.mark.parametrize("count", [1, 3])
def test_titles_and_legend_lie_apart_and_inside(count: int) -> None:
    name = "en.wikipedia.org_desktop_all-agents, of which the name goes on and on and on / " * 3
    one = course(truth=[1, 2], name=f"{name} $\\x$ rail", percents=(50, 80, 90, 95))
    figure = plot_forecast([one] * count)
    boxes = extents(figure)
    assert len(boxes) == count + 1
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert figure.axes[0].get_title(loc="left").endswith(" $\\x$ rail")


@pytest.mark.parametrize(
    ("values", "point"), [([], [1, 2]), ([1], [2]), ([1], []), ([NAN], [1]), ([5, 5], [5, 5])]
)
def test_hardly_any_steps(values: list[float], point: list[float]) -> None:
    drawn(plot_forecast([course(values, point, point)]))


def test_a_course_without_history_can_have_dates() -> None:
    one = course([], [1, 2])
    figure = plot_forecast([Course("x", [], *_rest(one, times("2020-01-01", 2, "D")))])
    assert "2020" in ticks(figure.axes[0])[0] or "Jan-01" in ticks(figure.axes[0])[0]


def test_a_picture_is_written(tmp_path: Path) -> None:
    plot_forecast([course()], tmp_path / "forecast.png")
    plot_errors("MAE", {"gru": [1.0, 2.0]}, tmp_path / "errors.png")
    for name in ("forecast", "errors"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(PNG)


def test_what_cannot_be_drawn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "^forecast: no series has a known value, there is nothing to draw$"
    for nothing in ([], [course([NAN], [NAN])], [course([], [])]):
        with pytest.raises(DataError, match=message):
            plot_forecast(nothing)
    message = "^MAE: no model has a known score, there is nothing to draw$"
    unknown: Any
    for unknown in ({}, {"gru": []}, {"gru": [NAN, NAN]}):
        with pytest.raises(DataError, match=message):
            plot_errors("MAE", unknown)
    message = r"x.png cannot be written \(No such file or directory"
    with pytest.raises(StorageError, match=message):
        plot_forecast([course()], tmp_path / "nowhere" / "x.png")
    with pytest.raises(StorageError, match=message):
        plot_errors("MAE", {"gru": [1.0]}, tmp_path / "nowhere" / "x.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="pictures need matplotlib"):
        plot_forecast([course()])
    with pytest.raises(ConfigError, match="pictures need matplotlib"):
        plot_errors("MAE", {"gru": [1.0]})


ERRORS: dict[str, Any] = {
    "last value": [9.0, 9.5, 9.2],
    "gru": [2.0, 2.5, 3.0],
    "unknown": [NAN, NAN],
    "lstm": np.array([2.1, NAN, 3.0]),
    "short": [2.5, 2.6],
    "drift": [9.1, 9.6, 9.21],
}


def test_errors_are_lines_with_names_beside() -> None:
    figure = drawn(plot_errors("MAE of $\\x$", ERRORS, grey=("last value", "drift", "elsewhere")))
    (panel,) = figure.axes
    assert (panel.get_ylabel(), panel.get_xlabel()) == ("MAE of $\\x$", "steps ahead")
    lines = [one for one in panel.lines if len(one.get_xdata()) and one.get_marker() != "o"]
    np.testing.assert_equal(
        [one.get_xydata().tolist() for one in lines],
        [
            [[step, value] for step, value in enumerate(values, start=1)]
            for model, values in ERRORS.items()
            if model != "unknown"
        ],
    )
    names = {text.get_text(): text for text in panel.texts}
    assert names.keys() == ERRORS.keys() - {"unknown"}
    assert [names[model].xy for model in ("gru", "short")] == [(3, 3.0), (2, 2.6)]
    for model, found in zip((m for m in ERRORS if m != "unknown"), lines, strict=True):
        assert names[model].get_color() == found.get_color()
        assert (found.get_color() in GREYS) == (model in ("last value", "drift"))
    assert len({(one.get_color(), one.get_linestyle()) for one in lines}) == 5
    assert ticks(panel) == ["1", "2", "3"]
    assert ticks(plot_errors("MAE", {"gru": [5.0]}).axes[0]) == ["1"]


@pytest.mark.parametrize("models", [1, 7, 30])
def test_names_of_models_lie_apart_and_inside(models: int) -> None:
    errors = {
        f"run-{n} {'of a long name ' * 4}$\\x$": [3.0, 1.0 + n % 3 / 100] for n in range(models)
    }
    figure = plot_errors("MAE", errors, grey=list(errors)[:2])
    boxes = extents(figure)
    assert len(boxes) == models
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    panel = figure.axes[0].bbox
    assert all(panel.x1 < box.x0 < box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1 for box in boxes)
    assert panel.width > 0.4 * figure.bbox.width


def test_models_look_different() -> None:
    looks = _looks([*map(str, range(16))], grey=["2", "3", "4", "5"])
    assert len({(look["color"], look["linestyle"]) for look in looks.values()}) == 16


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0.01, 0.1))
def test_places_are_spread_as_little_as_needed(places: list[float], gap: float) -> None:
    wanted = np.sort(places)
    found = _spread(wanted, gap)
    assert all(high - low >= gap - 1e-9 for low, high in pairwise(found))
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-9
    if all(high - low >= gap for low, high in pairwise(wanted)):
        np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_places_are_spread_up_and_down() -> None:
    np.testing.assert_allclose(_spread(np.array([0.5, 0.5, 0.5, 0.9]), 0.1), [0.4, 0.5, 0.6, 0.9])


def test_what_a_line_does_not_show() -> None:
    known = np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool)
    assert _alone(known).nonzero()[0].tolist() == [0, 6]
    assert _alone(known[:1]).tolist() == [True]
    assert _alone(known[:0]).tolist() == []


@given(st.text("ab 字", max_size=30), st.integers(3, 40))
def test_long_names_are_shortened_in_the_middle(name: str, most: int) -> None:
    found = _shortened(name, most)
    assert len(found) == min(len(name), most)
    assert found[0:1] == name[0:1]
    assert found[-1:] == name[-1:]
