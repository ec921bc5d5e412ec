"""The language model as a task: what it brings to the course of an experiment."""

from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.language_model.evaluation import evaluate
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.tasks.language_model.material import TextMaterial
from seq2seq.tasks.task import Task

TASK = Task(LanguageModelTaskConfig, TextMaterial.open, Generator.load, evaluate)
