"""The verbs of forecasters."""

import argparse

from seq2seq.measures import FORECAST_METRICS
from seq2seq.tasks.verb import Verb

COMMANDS = "seq2seq.tasks.forecasting.commands"


def _levels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--levels",
        type=float,
        nargs="+",
        metavar="P",
        help="the intervals, in per cent; default: 80 95",
    )


def _forecast(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="table with the columns of the run's own; default: the run's own data, from the last "
        "step from which all future covariates are known",
    )
    parser.add_argument("--horizon", type=int, metavar="N", help="steps; default: model.horizon")
    _levels(parser)
    parser.add_argument("--samples", type=int, metavar="N", help="courses that things may take")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed, the same samples")
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument("--format", choices=("csv", "jsonl"), default="csv")
    parser.add_argument("--plot", metavar="FILE", help="draw history, forecast and intervals")


def _origins(text: str) -> int:
    """Returns how many origins; 0: all."""
    if text == "all":
        return 0
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be all, or a number above 0, got {text}")
    return int(text)


def _windows(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what is forecast."""
    parser.add_argument(
        "--data", metavar="FILE", help="default: the table that the configuration names"
    )
    parser.add_argument(
        "--part", choices=("test", "valid"), help="the part to forecast; default: test"
    )
    parser.add_argument(
        "--origins",
        type=_origins,
        metavar="N",
        help="of each series, evenly spaced; default: all",
    )
    parser.add_argument(
        "--stride", type=int, metavar="N", help="steps from one origin to the next; default: 1"
    )
    parser.add_argument(
        "--refit",
        type=int,
        metavar="N",
        help="fit linear and arima again every N origins, to all before; default: never",
    )


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("others", nargs="*", metavar="RUN", help="more runs, for the same table")
    _windows(parser)
    _levels(parser)
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=list(FORECAST_METRICS),
        metavar="NAME",
        help=f"some of {', '.join(FORECAST_METRICS)}; sMAPE goes from 0 to 200; default: mae rmse "
        "mape smape mase wql msis",
    )
    parser.add_argument(
        "--target", nargs="+", metavar="NAME", help="score these columns only; default: all"
    )
    parser.add_argument(
        "--scaled",
        action="store_true",
        default=None,
        help="score numbers scaled by the training part's mean and deviation, column by column",
    )
    parser.add_argument(
        "--per-step",
        action="store_true",
        help="show the scores that --metrics names step by step, too; without it, the MAE",
    )
    parser.add_argument("--plot", metavar="FILE", help="draw the first score step by step")
    parser.add_argument("--format", choices=("table", "markdown", "json"), default="table")


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="whose data to check")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="draw each series with its autocorrelation and partial autocorrelation",
    )


VERBS = (
    Verb(
        name="forecast",
        run=f"{COMMANDS}:forecast",
        options=_forecast,
        help="forecast series from a table",
        subject="run",
        examples=(
            "seq2seq forecast runs/air-passengers --plot forecast.png",
            "seq2seq forecast runs/ridership new.csv --output forecast.csv",
            "seq2seq forecast runs/ridership new.csv --levels 50 80 95 --format jsonl",
            "seq2seq forecast runs/ridership --samples 100 --seed 1 --output courses.csv",
            "seq2seq forecast runs/arima new.csv --horizon 30 --plot month.png",
        ),
    ),
    Verb(
        name="evaluate",
        run=f"{COMMANDS}:evaluate",
        options=_evaluate,
        subject="run",
        examples=(
            "seq2seq evaluate runs/ridership",
            "seq2seq evaluate runs/ridership runs/arima runs/linear --plot errors.png",
            "seq2seq evaluate runs/arima --origins 20 --refit 1",
            "seq2seq evaluate runs/ridership --part valid --stride 7 --per-step",
            "seq2seq evaluate runs/energy --scaled --metrics mse mae --format markdown",
        ),
    ),
    Verb(
        name="data check",
        run=f"{COMMANDS}:data_check",
        options=_check,
        help="report what is odd about series",
        subject="config",
        takes_keys=True,
        examples=(
            "seq2seq data check recipes/air-passengers/config.yaml --plot series.png",
            "seq2seq data check recipes/ridership/config.yaml --data.folder path/to/ridership",
            "seq2seq data check --task forecasting --data.series.path series.csv",
            "seq2seq data check config.yaml --data.duplicates drop --data.missing mask",
            'seq2seq data check config.yaml --data.series.target "[sales]" --plot sales.png',
        ),
    ),
)
