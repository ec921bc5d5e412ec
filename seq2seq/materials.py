"""What each kind of task brings to a run: its texts, their encoding, the model and its validation.

``experiment`` knows the course of a run; here is what differs between pairs and continuous text.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from torch import nn

from seq2seq.data.batching import Batches, padding
from seq2seq.data.cache import clear_leftovers
from seq2seq.data.sources import Corpus, Pair, open_corpus, pairs_of
from seq2seq.data.store import FilterConfig, PairStore, describe, encode_corpus
from seq2seq.data.streams import Carried, TextBatches, TextStore, Windows, encode_texts
from seq2seq.data.texts import Texts, open_texts
from seq2seq.errors import ConfigError, DataError
from seq2seq.evaluation.metrics import METRICS
from seq2seq.evaluation.text_loss import Loss, measure
from seq2seq.generation import Generator
from seq2seq.inference import MOST_TOKENS, Translator
from seq2seq.models.language_model import LanguageModel
from seq2seq.models.seq2seq import Seq2Seq
from seq2seq.runs import user_cache
from seq2seq.symbols import UNK
from seq2seq.tasks import (
    LanguageModelTaskConfig,
    Pipelines,
    Role,
    TaskConfig,
    TranslationConfig,
    build_language_model,
    build_model,
    corpus_config,
    text_config,
    train_text_pipeline,
)
from seq2seq.text.pipeline import Pipeline
from seq2seq.training.trainer import AnyBatch, BatchOrder, Validator, pick_device

Pairs: TypeAlias = Sequence[Pair]
log = logging.getLogger("seq2seq")


@runtime_checkable
class Saved(Protocol):
    """What a run folder keeps of the way between text and ids."""

    def save(self, folder: Path) -> None:
        """Writes it below ``folder``."""
        ...


PipelineT = TypeVar("PipelineT", bound=Saved)


@dataclass(frozen=True)
class Ready:
    """All that a trainer works with."""

    batches: BatchOrder[AnyBatch]
    model: nn.Module
    validate: Validator
    facts: str
    """What is about to be learned from, in one line."""


@runtime_checkable
class Material(Protocol[PipelineT]):
    """The texts of one experiment, and what is made of them."""

    @property
    def config(self) -> TaskConfig:
        """The whole configuration."""
        ...

    def fingerprints(self) -> dict[str, str]:
        """Returns a hash of each text's content by role."""
        ...

    def learn(self) -> PipelineT:
        """Learns tokenizers and vocabularies from the training text."""
        ...

    def load(self, folder: Path) -> PipelineT:
        """Reads what was learned earlier."""
        ...

    def ready(self, pipelines: PipelineT, folder: Path) -> Ready:
        """Encodes the texts, and makes the model and its validation; ``folder`` is the run's."""
        ...


def _cache(config: TaskConfig) -> Path:
    """Returns where encoded texts are kept."""
    return Path(config.data.cache).expanduser() if config.data.cache else user_cache()


@dataclass(frozen=True)
class PairMaterial:
    """Pairs of texts, for an encoder-decoder."""

    config: TranslationConfig
    train: Corpus
    valid: Corpus

    @classmethod
    def open(
        cls, config: TranslationConfig, train: Pairs | None, valid: Pairs | None
    ) -> "PairMaterial":
        """Opens the corpora: lists from Python, or what the configuration names."""
        return cls(config, _corpus(config, "train", train), _corpus(config, "valid", valid))

    def fingerprints(self) -> dict[str, str]:
        """Returns a hash of each corpus' content."""
        return {"train": self.train.fingerprint(), "valid": self.valid.fingerprint()}

    def learn(self) -> Pipelines:
        """Learns tokenizers and vocabularies of both sides."""
        return Pipelines.train(self.config, self.train)

    def load(self, folder: Path) -> Pipelines:
        """Reads what was learned earlier."""
        return Pipelines.load(folder)

    def ready(self, pipelines: Pipelines, folder: Path) -> Ready:
        """Encodes the corpora, and makes the model and its validation."""
        config = self.config
        keep_text = config.source.sampling > 0 or config.target.sampling > 0
        both = pipelines.source, pipelines.target
        store = encode_corpus(
            self.train, *both, config.data.filters, _cache(config), keep_text=keep_text
        )
        batches = Batches(store, config.data.batch, config.train.seed, both if keep_text else None)
        model = build_model(config, pipelines).to(pick_device(config.train.device, "train.device"))
        validation = PairValidation(config, model, pipelines, self.valid, folder)
        plan = batches.plan(0)
        facts = (
            f"{len(store):,} pairs, {describe(store.dropped)}; {len(plan):,} batches an epoch, "
            f"{100 * padding(plan, store):.1f} % padding; "
            f"vocabulary: {len(pipelines.source):,} and {len(pipelines.target):,}"
        )
        return Ready(batches, model, validation, facts)

    def shortened(self, folder: Path, cache: str) -> "PairMaterial":
        """Returns the same for two updates in another folder."""
        config, few = self.config, min(4, self.config.validation.sentences)
        short = replace(
            config,
            folder=str(folder),
            data=replace(config.data, cache=cache),
            train=config.train.shortened(),
            validation=replace(config.validation, sentences=few),
        )
        return replace(self, config=short)

    def try_out(self, folder: Path) -> None:
        """Translates one text."""
        source, _ = next(self.valid.pairs())
        Translator.load(folder)([source])


class PairValidation:
    """Measures a model on the validation pairs; the trainer calls it."""

    def __init__(
        self,
        config: TranslationConfig,
        model: Seq2Seq,
        pipelines: Pipelines,
        corpus: Corpus,
        folder: Path,
    ) -> None:
        self.config = config
        self.model = model
        self.folder = folder
        self.pipelines = pipelines
        self.pairs = [pair for pair in corpus.pairs() if pair[0].strip() and pair[1].strip()]
        limits = FilterConfig(max_source_length=MOST_TOKENS, max_target_length=MOST_TOKENS)
        cache = folder / "valid"
        clear_leftovers(cache, age=0.0)  # nobody else writes into the run folder
        self.store = encode_corpus(corpus, pipelines.source, pipelines.target, limits, cache)
        self.batches = Batches(self.store, config.data.batch, seed=0)
        _warn_of_unknown(self.store, corpus.name)

    def __call__(self) -> dict[str, float]:
        """Returns loss (nats per token, without smoothing), perplexity and translation scores."""
        loss = measure(self.model, self.batches).per_token
        scores = {"loss": loss, "perplexity": float(torch.tensor(loss).exp())}
        pairs = self.pairs[: self.config.validation.sentences]
        if pairs:
            search = replace(self.config.search, beam_size=self.config.validation.beam_size)
            translator = Translator([self.model], self.pipelines, search)
            found = [one.text for one in translator([source for source, _ in pairs])]
            references = self.pipelines.target.restored([target for _, target in pairs])
            wanted = {*self.config.validation_metrics, self.config.train.metric}
            scores |= {
                name: metric(found, references).value
                for name, metric in METRICS.items()
                if name in wanted
            }
            self._write_samples(pairs, found)
        return scores

    def _write_samples(self, pairs: Pairs, found: Sequence[str]) -> None:
        """Writes the first translations where a person can follow them."""
        blocks = [
            f"source:    {source}\nreference: {target}\nmodel:     {text}\n"
            for (source, target), text in list(zip(pairs, found, strict=True))[
                : self.config.validation.samples
            ]
        ]
        if blocks:
            write_samples(self.folder, "\n".join(blocks))


def write_samples(folder: Path, text: str) -> None:
    """Writes what the model makes now, and keeps what it made before."""
    path = folder / "samples" / "latest.txt"
    path.parent.mkdir(exist_ok=True)
    with path.with_name("all.txt").open("a", encoding="utf-8") as file:
        file.write(f"{text}\n{'-' * 40}\n")
    path.write_text(text, encoding="utf-8")


def _corpus(config: TranslationConfig, role: Role, pairs: Pairs | None) -> Corpus:
    """Returns a corpus from Python, or from where the configuration says."""
    if pairs is not None:
        name = f"{role} pairs"
        own = pairs_of(pairs, name)
        if not own:
            raise DataError(f"{name}: none given; at least one is needed")
        return Corpus.of(own, name)
    return open_corpus(corpus_config(config, role), Path(config.data.folder))


def _warn_of_unknown(store: PairStore, name: str) -> None:
    """Warns where many tokens of a corpus are not in the vocabulary."""
    for side in ("source", "target"):
        share = store.share(side, UNK)
        if share > 0.05:
            log.warning("%s: %.1f %% of the %s tokens are unknown", name, 100 * share, side)


@dataclass(frozen=True)
class TextMaterial:
    """Continuous text, for a language model."""

    config: LanguageModelTaskConfig
    train: Texts
    valid: Texts

    @classmethod
    def open(
        cls,
        config: LanguageModelTaskConfig,
        train: Iterable[str] | None,
        valid: Iterable[str] | None,
    ) -> "TextMaterial":
        """Opens the texts: lists from Python, or what the configuration names."""
        return cls(config, _texts(config, "train", train), _texts(config, "valid", valid))

    def fingerprints(self) -> dict[str, str]:
        """Returns a hash of each text's content."""
        return {"train": self.train.fingerprint(), "valid": self.valid.fingerprint()}

    def learn(self) -> Pipeline:
        """Learns the tokenizer and its vocabulary."""
        return train_text_pipeline(self.config, self.train)

    def load(self, folder: Path) -> Pipeline:
        """Reads what was learned earlier."""
        return Pipeline.load(folder)

    def ready(self, pipelines: Pipeline, folder: Path) -> Ready:
        """Encodes the texts, and makes the model and its validation."""
        config = self.config
        store = encode_texts(self.train, pipelines, _cache(config))
        batches = TextBatches(store, config.data.batch, config.train.seed)
        device = pick_device(config.train.device, "train.device")
        model = build_language_model(config, pipelines).to(device)
        cache = folder / "valid"
        clear_leftovers(cache, age=0.0)  # nobody else writes into the run folder
        valid = encode_texts(self.valid, pipelines, cache)
        facts = (
            f"{store.documents:,} documents, {store.characters:,} characters, "
            f"{store.tokens:,} tokens; {batches.size(0):,} batches an epoch; "
            f"vocabulary: {len(pipelines):,}"
        )
        return Ready(batches, model, TextValidation(config, model, pipelines, valid, folder), facts)

    def shortened(self, folder: Path, cache: str) -> "TextMaterial":
        """Returns the same for two updates in another folder."""
        config, few = self.config, min(10, self.config.validation.sample)
        short = replace(
            config,
            folder=str(folder),
            data=replace(config.data, cache=cache),
            train=config.train.shortened(),
            validation=replace(config.validation, sample=few),
        )
        return replace(self, config=short)

    def try_out(self, folder: Path) -> None:
        """Generates a few characters."""
        Generator.load(folder)(length=10, seed=self.config.train.seed)


class TextValidation:
    """Measures a language model on the validation text; the trainer calls it."""

    def __init__(
        self,
        config: LanguageModelTaskConfig,
        model: LanguageModel,
        pipeline: Pipeline,
        store: TextStore,
        folder: Path,
    ) -> None:
        self.config = config
        self.store = store
        self.folder = folder
        self.model = model
        self.pipeline = pipeline
        warn_of_unknown_text(store, "validation text")

    def __call__(self) -> Mapping[str, float]:
        """Returns the loss with carried state, bits per character, and the loss of windows."""
        validation = self.config.validation
        carried, windows = measure_text(self.model, self.store, validation.window, validation.rows)
        scores = {
            "loss": carried.per_token,
            "bits_per_character": carried.bits / self.store.characters,
        }
        if windows is not None:
            scores["windows_loss"] = windows.per_token
        if validation.sample:
            generator = Generator(self.model, self.pipeline, self.config.sampling)
            text = generator(length=validation.sample, seed=self.config.train.seed)
            write_samples(self.folder, text)
        return scores


def measure_text(
    model: LanguageModel, store: TextStore, window: int, rows: int = 1
) -> tuple[Loss, Loss | None]:
    """Scores a text read as a whole, in ``rows`` parts, and unless ``window`` is 0 in windows."""
    carried = measure(model, Carried(store, rows))
    return carried, measure(model, Windows(store, window)) if window else None


def warn_of_unknown_text(store: TextStore, name: str) -> None:
    """Warns where many tokens of a text are not in the vocabulary."""
    share = store.share(UNK)
    if share > 0.05:
        log.warning("%s: %.1f %% of the tokens are unknown", name, 100 * share)


def _texts(config: LanguageModelTaskConfig, role: Role, texts: Iterable[str] | None) -> Texts:
    """Returns texts from Python, or from where the configuration says."""
    if isinstance(texts, str):
        raise ConfigError(f"{role} texts: must be a list of documents, got one text; write [text]")
    if texts is not None:
        documents = list(texts)
        if not any(text.strip() for text in documents):
            raise DataError(f"{role} texts: all are blank; text is needed")
        return Texts.of(documents, f"{role} texts")
    return open_texts(text_config(config, role), Path(config.data.folder))
