import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.errors import CheckpointError, ConfigError, Seq2SeqError
from seq2seq.tensors import Batch
from seq2seq.training.journal import METRICS, forget_after, read_history
from seq2seq.training.optimisation import OptimizerConfig, ScheduleConfig
from seq2seq.training.trainer import TrainConfig, Trainer, pick_device, pick_precision, weights
from tests_training import Copies, MakeTrainer, join, make_model, make_rows
