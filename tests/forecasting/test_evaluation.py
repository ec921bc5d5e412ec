"""Models side by side: the same origins, skill, refits, tables that people and programs read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window
from seq2seq.errors import DataError
from seq2seq.measures import FORECAST_METRICS
from seq2seq.tasks.forecasting import evaluation
from seq2seq.tasks.forecasting.classical import BASELINES, NAIVE, SeasonalNaive
from seq2seq.tasks.forecasting.evaluation import Setting, chosen_origins, compare
from seq2seq.tasks.forecasting.linear import fit_linear
from seq2seq.tasks.forecasting.prediction import Prediction, truths
from seq2seq.tasks.forecasting.report import Report
from seq2seq.tasks.forecasting.scaling import Transform, Units
from tests.forecasting.making import origins, panel_of, weekly


@dataclass(frozen=True)
class Seer(SeasonalNaive):
    """Knows what comes, and how often it was fitted to what."""

    name: str = "seer"
    fits: list[list[tuple[int, int]]] = field(default_factory=list)

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        truth = truths(panel, windows, horizon)
        return Prediction(truth, np.repeat(truth[..., None], len(levels), -1), tuple(levels))

    def refitted(self, panel: Panel, ranges: Sequence[tuple[int, int]]) -> "Seer":
        self.fits.append(list(ranges))
        return self


@pytest.fixture(scope="module")
def setting() -> Setting:
    one, other = weekly(150, columns=2), replace(weekly(150, columns=2, seed=2), name="other")
    at = [*origins(100, 140), *origins(100, 120, series=1)]
    return Setting(panel_of(one, other), at, 7, training=[(0, 90)] * 2)


@pytest.fixture(scope="module")
def report(setting: Setting) -> Report:
    return compare(setting, {"seer": Seer(), "naive": NAIVE})


def test_baselines_are_in_every_table(report: Report) -> None:
    assert [one.name for one in report.models] == ["seer", "naive (run)", *BASELINES]
    given, own = report.models[1], report.models[2]
    assert given.scores["mae"].value == own.scores["mae"].value
    assert all(list(one.scores) == list(report.models[0].scores) for one in report.models)


def test_skill_is_what_a_score_is_below_the_seasonal_naives(report: Report) -> None:
    seer, naive = report.models[0], report.models[2]
    reference = next(one for one in report.models if one.name == "seasonal-naive")
    assert report.skill(seer, "mae") == 100
    assert report.skill(reference, "mase") == 0
    mae = naive.scores["mae"].value, reference.scores["mae"].value
    assert report.skill(naive, "mae") == pytest.approx(100 * (1 - mae[0] / mae[1]))
    assert report.skill(naive, "mae") < 0


def test_memory_is_bounded_and_pieces_add_up(
    setting: Setting, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "TOGETHER", 7 * 2 * 5 * 9)
    again = compare(setting, {"seer": Seer(), "naive": NAIVE})
    for one, other in zip(report.models, again.models, strict=True):
        for metric, tally in one.scores.items():
            assert other.scores[metric].per_step == pytest.approx(tally.per_step)
            assert other.scores[metric].score.signature == tally.score.signature


def test_models_are_fitted_again_to_all_before(setting: Setting) -> None:
    seer = Seer()
    compare(replace(setting, refit=15), {"seer": seer})
    assert seer.fits == [[(0, 100), (0, 100)], [(0, 115), (0, 115)], [(0, 130), (0, 90)]]
    panel = setting.panel
    transform = Transform.learned(panel, setting.training, "window")
    model = fit_linear(panel, origins(10, 84), 10, 7, transform)
    tables = [
        compare(replace(setting, refit=refit), {"linear": model}).models[0] for refit in (0, 10)
    ]
    assert tables[0].scores["mae"].value != tables[1].scores["mae"].value
    assert tables[0].scores["mae"].windows == tables[1].scores["mae"].windows == 60


def test_the_scale_is_that_of_the_training_part_or_of_all_before(setting: Setting) -> None:
    scores = compare(setting, {}).models[0].scores
    assert scores["mase"].score.signature == "origins:60|steps:7|season:7|scale:train"
    before = compare(replace(setting, training=()), {}).models[0].scores
    assert before["mase"].score.signature.endswith("|scale:before")
    assert before["mae"].value == scores["mae"].value
    assert before["mase"].value != scores["mase"].value


def test_text_and_markdown_have_the_same_cells(report: Report) -> None:
    text, markdown = report.text(["mae"]), report.markdown(["mae"])
    scores, skill, signatures, columns, steps = text.split("\n\n")
    head, first = scores.splitlines()[:2]
    assert head.split() == ["model", "MAE", "RMSE", "MAPE", "sMAPE", "MASE", "WQL", "MSIS",
                            "in", "80", "%", "in", "95", "%"]  # fmt: skip
    assert first.split()[-2:] == ["100.0", "100.0"]
    assert skill.splitlines()[0].startswith("skill against seasonal-naive, %")
    assert "sMAPE  origins:60|steps:7|season:7|range:0-200" in signatures
    assert columns.splitlines()[0].split()[:4] == ["MAE", "of", "column", "seer"]
    assert [line.split()[0] for line in columns.splitlines()[1:]] == ["y0", "y1"]
    assert steps.splitlines()[0].split()[:4] == ["MAE", "of", "step", "seer"]
    assert len(steps.splitlines()) == 8
    cells = {cell for line in markdown.splitlines() for cell in line.strip("| ").split(" | ")}
    for row in report.tables()[0]:
        assert set(row) <= cells
    assert markdown.splitlines()[1] == "| --- |" + " ---: |" * 9


def test_json_has_all_there_is(report: Report) -> None:
    told = json.loads(report.json())
    assert told["columns"] == ["y0", "y1"]
    assert told["season"] == 7
    model = told["models"][2]
    mae = model["scores"]["mae"]
    assert len(mae["per_step"]) == 7
    assert np.mean(mae["per_step"]) == pytest.approx(mae["value"])
    values = [one["value"] for one in mae["per_column"].values()]
    assert np.mean(values) == pytest.approx(mae["value"])
    cells = [one["per_step"] for one in mae["per_column"].values()]
    assert np.mean(cells, axis=0) == pytest.approx(mae["per_step"])
    assert mae["skill"] == pytest.approx(report.skill(report.models[2], "mae"))
    assert set(model["coverage"]) == {"80", "95"}
    assert 0 < model["coverage"]["80"]["value"] <= 100


def test_what_is_unknown_is_a_dash_and_null(setting: Setting) -> None:
    class Spreadless(Seer):
        def predict(self, *args: object, **kwargs: object) -> Prediction:
            found = super().predict(*args, **kwargs)  # type: ignore[arg-type]
            return replace(found, quantiles=np.full_like(found.quantiles, np.nan))

    report = compare(setting, {"point": Spreadless()})
    assert report.text().splitlines()[1].split()[-4:] == ["–"] * 4
    assert json.loads(report.json())["models"][0]["scores"]["wql"]["value"] is None


def test_trajectories_are_measured_in_the_plane(setting: Setting) -> None:
    report = compare(replace(setting, metrics=tuple(FORECAST_METRICS)), {})
    ade, fde = (report.models[0].scores[name] for name in ("ade", "fde"))
    assert ade.per_step[-1] == fde.value
    assert json.loads(report.json())["models"][0]["scores"]["fde"]["per_step"][:6] == [None] * 6


def test_origins_are_chosen_evenly() -> None:
    at = [*origins(0, 9), *origins(50, 53, series=1)]
    assert chosen_origins(at, 0) == at
    assert [tuple(one) for one in chosen_origins(at, 3)] == [
        (0, 0), (0, 4), (0, 8), (1, 50), (1, 51), (1, 52)
    ]  # fmt: skip
    assert len(chosen_origins(at, 1)) == 2
    with pytest.raises(DataError, match=r"^there is no origin"):
        compare(Setting(panel_of(weekly(20)), [], 3), {})


def test_some_columns_can_be_scored_alone_and_in_units_of_training(setting: Setting) -> None:
    models = {"naive": NAIVE}
    whole = compare(replace(setting, metrics=("mae", "mse")), models).models[0]
    units = Units((5.0, -3.0), (2.0, 4.0))
    for place, name in enumerate(setting.panel.columns.targets):
        alone = replace(setting, metrics=("mae", "mse"), targets=(name,))
        plain = compare(alone, models).models[0].scores
        scaled = compare(replace(alone, units=units), models).models[0].scores
        assert plain["mae"].value == pytest.approx(whole.scores["mae"].per_column[place])
        assert scaled["mae"].value == pytest.approx(plain["mae"].value / units.scale[place])
        assert scaled["mse"].value == pytest.approx(plain["mse"].value / units.scale[place] ** 2)
        assert scaled["mse"].score.signature.endswith("|scaled:train")
