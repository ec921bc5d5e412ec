"""Learns to forecast a frame, compares models, and goes on as new rows come."""

import numpy as np
import pandas as pd

import seq2seq

DAYS = pd.date_range("2022-01-01", periods=500)
HOLIDAY = np.random.default_rng(1).random(500) < 0.1
SALES = 100 + 20 * np.sin(2 * np.pi * DAYS.day_of_week / 7) - 30 * HOLIDAY
SALES = SALES + np.random.default_rng(2).normal(0, 5, 500)
TABLE = pd.DataFrame({"ds": DAYS, "y": SALES, "holiday": HOLIDAY.astype(int)})

CONFIG = {
    "task": "forecasting",
    "data": {
        "series": {"target": ["y"], "future": ["holiday"]},
        "calendar": ["day_of_week"],
        "valid": {"last": 80},
        "test": {"last": 80},
    },
    "model": {"window": 28, "horizon": 7, "layers": {"cell": "gru", "hidden_size": 32}},
    "train": {"epochs": 25, "metric": "mae", "threads": 1},
}
run = seq2seq.train(CONFIG, {"folder": "runs/gru"}, data={"train": TABLE})
other = seq2seq.train(
    CONFIG, {"folder": "runs/linear", "model.kind": "linear"}, data={"train": TABLE}
)
print("linear", *seq2seq.evaluate(other.folder, TABLE, {"metrics": ["mae"]}), sep="  ")
mae, in_80, _ = seq2seq.evaluate(run.folder, TABLE, {"metrics": ["mae"]})
print("gru", mae, in_80, sep="  ")
print("noise alone would be 4.0:", "learned" if mae.value < 5.0 else "not learned")

known, ahead = TABLE[:-7], TABLE[-7:].assign(y=np.nan)
forecaster = seq2seq.Forecaster.load(run.folder)
now = forecaster.update(known[:-3]).update(known[-3:]).update(ahead)
whole = forecaster(pd.concat([known, ahead]), levels=[80])
print(whole)
print("the same:", np.allclose(now()["forecast"], whole["forecast"]))
