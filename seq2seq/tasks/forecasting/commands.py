"""What the verbs of forecasters do."""

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seq2seq import config as configuration
from seq2seq.data.series.check import MOST_CURVES, check, curves, open_to_check
from seq2seq.evaluation.plots.forecast import plot_errors, plot_forecast
from seq2seq.evaluation.plots.series_check import plot_series_check
from seq2seq.tasks.console import as_options, given, output, use_threads
from seq2seq.tasks.forecasting.classical import BASELINES
from seq2seq.tasks.forecasting.comparison import EvaluationConfig, compare_runs
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.forecaster import Forecaster
from seq2seq.tasks.forecasting.forecasts import DIGITS, Request, told_of
from seq2seq.tasks.forecasting.report import Report

FORMATS: dict[str, Callable[[Report, Sequence[str]], str]] = {
    "table": Report.text,
    "markdown": Report.markdown,
}
LOADING = ("checkpoint", "device")
ASKED = ("horizon", "levels", "samples", "seed")
SETTINGS = ("part", "origins", "stride", "refit", "levels", "metrics", "target", "scaled")


def forecast(options: Namespace) -> None:
    """Prints forecasts as a table."""
    use_threads(options)
    forecaster = Forecaster.load(options.run, **given(options, LOADING))
    with as_options(options):
        asked = {"horizon": forecaster.config.model.horizon, **_settings(options, ASKED)}
        made = forecaster.forecasts(options.file, Request(**asked))
    frame = made.frame()
    if options.plot:
        plot_forecast(made.courses(), Path(options.plot))
    with output(options.output) as file:
        if options.format == "csv":
            frame.to_csv(file, index=False, float_format=f"%.{DIGITS}g")
            return
        for row in told_of(frame):
            print(json.dumps(row, ensure_ascii=False), file=file)


def evaluate(options: Namespace) -> None:
    """Prints a table of models."""
    use_threads(options)
    runs = [Path(run) for run in (options.run, *options.others)]
    with as_options(options):
        settings = EvaluationConfig(**_settings(options, SETTINGS))
        report = compare_runs(runs, settings, options.data, **given(options, LOADING))
    if options.plot:
        plot_errors(*report.errors(), Path(options.plot), grey=tuple(BASELINES))
    shown = (options.metrics or settings.metrics[:1]) if options.per_step else ()
    print(report.json() if options.format == "json" else FORMATS[options.format](report, shown))


def data_check(options: Namespace) -> None:
    """Reports what is odd about the series of a configuration."""
    mapping = configuration.read(options.config) if options.config else {}
    where = str(options.config)
    config = configuration.from_mapping(ForecastConfig, mapping, options.keys, where)
    panel, told = open_to_check(config.data)
    report = check(panel, config.data, told)
    print(report.table())
    for problem in report.problems:
        print(f"- {problem}")
    if options.plot:
        plot_series_check(curves(panel)[:MOST_CURVES], Path(options.plot))
        print(f"picture: {options.plot}")


def _settings(options: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Returns the settings that were given as options, lists as they stand in settings."""
    found = given(options, names).items()
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found}
