"""Translation as a task: what it brings to the course of an experiment."""

from seq2seq.tasks.task import Task
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.evaluation import evaluate
from seq2seq.tasks.translation.material import PairMaterial
from seq2seq.tasks.translation.translator import Translator

TASK = Task(TranslationConfig, PairMaterial.open, Translator.load, evaluate)
