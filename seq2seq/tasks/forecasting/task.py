"""Forecasting as a task: what it brings to the course of an experiment."""

from seq2seq.tasks.forecasting.comparison import evaluate
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.forecaster import Forecaster
from seq2seq.tasks.forecasting.material import SeriesMaterial
from seq2seq.tasks.task import Task

TASK = Task(ForecastConfig, SeriesMaterial.open, Forecaster.load, evaluate)
