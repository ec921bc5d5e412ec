"""What a model begins with besides the draw: weights of another run, embeddings from a file."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seq2seq.data.vectors import read_vectors
from seq2seq.errors import CheckpointError, DataError
from seq2seq.runs.describe import summary
from seq2seq.runs.folder import read_mapping
from seq2seq.text.vocab import Vocabulary
from seq2seq.training.checkpoint import Checkpoint
from seq2seq.training.config import TrainConfig
from seq2seq.training.freezing import frozen
from seq2seq.training.journal import METRICS, read_history
from seq2seq.training.optimisation import SLOTS
from seq2seq.training.start import (
    Match,
    Matches,
    Moments,
    match,
    moments_of,
    take_moments,
    take_weights,
)
from seq2seq.training.state import sections, weights

log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class TokenRows:
    """A part of a model whose weights have a row for each token of a vocabulary."""

    part: str
    """Its name in the model, such as ``source_input``."""
    vocabulary: Vocabulary
    side: str
    """The section of the configuration that the vocabulary belongs to; parts of the same one may
    share their weights."""
    vectors: str | None = None
    """A file of embeddings to begin with."""
    width_key: str = ""
    """The key that says how wide they are."""


def tell_the_beginning(folder: Path, facts: str, model: nn.Module, freeze: Sequence[str]) -> None:
    """Tells of the data and the model of a training that begins, and of updates that are lost.

    ``freeze`` are the patterns of the names of weights that are to stay.
    """
    if rows := read_history(folder):
        log.warning(
            "%s: there is no checkpoint of the %d updates that %s tells of; training begins anew",
            folder,
            rows[-1]["step"],
            METRICS,
        )
    log.info("data: %s", facts)
    for line in summary(model):
        log.info("%s", line)
    if asleep := frozen(model, freeze):
        still = sum(tensor.numel() for name, tensor in weights(model).items() if name in asleep)
        numbers = f"{still:,} numbers"
        log.info("train.freeze: %d weights, %s, stay as they begin", len(asleep), numbers)


@torch.no_grad()
def fill_from_files(
    model: nn.Module, parts: Iterable[TokenRows], taken: Mapping[str, Match]
) -> None:
    """Gives embeddings the vectors of the files that are named for them.

    Rows that were ``taken`` from another run stay.

    Raises:
        ConfigError: The vectors of a file have another width.
        DataError: A file cannot be read, is damaged, or has none of the tokens.
    """
    for one in parts:
        name, vocabulary = f"{one.part}.weight", one.vocabulary
        tokens: Sequence[str] = vocabulary.entries
        if name in taken:
            new = vocabulary.tokens(taken[name].new.tolist())
            tokens = [token for token in new if token in vocabulary]  # and no tags
        if not one.vectors:
            continue
        weight, key = weights(model)[name], f"{one.side}.vectors"
        if not tokens:
            log.warning("%s: %s is not read: no token is new to the earlier run", key, one.vectors)
            continue
        found = read_vectors(Path(one.vectors), tokens, weight.shape[1], key, one.width_key)
        if not found.rows and name not in taken:
            raise DataError(f"{key}: {one.vectors} has none of the {len(tokens):,} tokens")
        for token, row in found.rows.items():
            weight[vocabulary.ids([token])] = torch.from_numpy(row).to(weight)
        log.info(
            "%s: %s of %s tokens are in %s, %s of them only in lower case",
            *(key, f"{len(found.rows):,}", f"{len(tokens):,}", one.vectors, f"{found.lowered:,}"),
        )


def begin_from(
    checkpoint: Checkpoint,
    run: Path,
    model: nn.Module,
    parts: Sequence[TokenRows],
    earlier: Sequence[TokenRows],
    config: TrainConfig,
) -> tuple[Matches, Moments]:
    """Gives a model what it can take of a checkpoint of another run, and names what it cannot.

    ``earlier`` are the parts of that run's model with a row for each token; none if unknown.

    Returns:
        What is taken, and the optimiser's tensors that are kept.

    Raises:
        CheckpointError: Nothing can be taken.
    """
    before = {one.part: one.vocabulary for one in earlier}
    places = {
        one.part: one.vocabulary.places_in(before[one.part]) if one.part in before else []
        for one in parts
    }
    shared = {
        one.part: other.part
        for one in parts
        for other in parts
        if one.side == other.side and one is not other
    }
    matches = match(model, checkpoint.model, places, shared)
    if not matches.taken:
        raise CheckpointError(
            f"train.start: nothing of {run}, {checkpoint.name}, fits this model: "
            f"{_listed(matches.left)}"
        )
    take_weights(model, checkpoint.model, matches)
    log.info("begins from %s, %s: %s", run, checkpoint.name, matches.counted(model))
    _tell_of_tokens(parts, places)
    if matches.left:
        log.warning("not taken, but drawn: %s", _listed(matches.left))
    if matches.unused:
        log.info("only in %s: %s", run, ", ".join(matches.unused))
    if config.start_optimizer == "fresh":
        return matches, {}
    return matches, _moments(checkpoint, run, model, matches, config)


def _listed(left: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in left.items())


def _tell_of_tokens(parts: Sequence[TokenRows], places: Mapping[str, Sequence[int]]) -> None:
    """Says how many tokens of each vocabulary are new."""
    for one in {part.side: part for part in parts if places[part.part]}.values():
        whole, new = len(one.vocabulary), places[one.part].count(-1)
        if new:
            log.info(
                "%s: %s of %s tokens are in its vocabulary; %s are new, their rows drawn",
                *(one.side, f"{whole - new:,}", f"{whole:,}", f"{new:,}"),
            )


def _moments(
    checkpoint: Checkpoint, run: Path, model: nn.Module, matches: Matches, config: TrainConfig
) -> Moments:
    """Returns the optimiser's tensors that can be kept, and says of how many weights they are.

    None unless both models have the same weights: a checkpoint tells only their order.
    """
    told: Any = read_mapping(run).get("train") or {}
    asleep = frozen(model, told.get("freeze") or ())
    names = [name for name in weights(model) if name not in asleep]
    moments: Moments = {}
    if weights(model).keys() == checkpoint.model.keys():
        moments = moments_of(sections(checkpoint.optimizer)["optimizer"], names, checkpoint.model)
    if any(slots.keys() - SLOTS[config.optimizer.name] for slots in moments.values()):
        moments = {}
    kept = take_moments(model, moments, matches)
    log.info("optimiser: goes on for %d of %d weights", len(kept), len(weights(model)))
    return kept
