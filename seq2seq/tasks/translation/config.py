"""The configuration of a translator."""

import re
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeVar

from seq2seq.data.files import suffix_of
from seq2seq.data.pairs.batches import BatchConfig
from seq2seq.data.pairs.corpus import CorpusConfig, several
from seq2seq.data.pairs.mixture import TrainingCorpusConfig
from seq2seq.data.pairs.store import FilterConfig
from seq2seq.errors import ConfigError, OneOf, PathText, require, require_name
from seq2seq.measures import AUTO, BLEU_TOKENIZERS, METRICS, take_tokenizer
from seq2seq.models.seq2seq import Seq2SeqConfig
from seq2seq.search.config import SearchConfig
from seq2seq.text.settings import PipelineConfig
from seq2seq.training.config import TrainConfig
from seq2seq.training.optimisation import OF_TEXT

Role = Literal["train", "valid", "test"]
ROLES: tuple[Role, ...] = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The corpora, and how their pairs become batches."""

    folder: PathText = "."
    """Where relative paths of the corpora begin; if it is relative, the directory that training is
    started from is remembered for `evaluate`."""
    train: TrainingCorpusConfig | tuple[TrainingCorpusConfig, ...] | None = None
    """Pairs to learn from: a corpus, or a list of them. Vocabularies learn from what an epoch has,
    and from each corpus at least once. Files of valid and test are left out of what a pattern or a
    folder stands for."""
    valid: CorpusConfig | tuple[CorpusConfig, ...] | None = None
    """Pairs to validate with: a corpus, or a list of them, one after the other."""
    test: CorpusConfig | tuple[CorpusConfig, ...] | None = None
    """Pairs that `evaluate` uses unless given others; training never sees them. One corpus, or a
    list."""
    temperature: float | None = None
    """In place of weights: an epoch is as large as all training corpora together, and each has a
    share of it in proportion to its size to the power of 1 / temperature. 1: as they are; high: all
    have the same."""
    filters: FilterConfig = field(default_factory=FilterConfig)
    """Training pairs to leave out, unless their corpus has filters of its own."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """How training pairs are joined to batches."""
    cache: PathText = ""
    """Where encoded corpora are kept; empty: `seq2seq` in the user's cache folder."""

    @property
    def source_language(self) -> str:
        """The language that training files (train.de) or columns (translation.de) are named after;
        else English.
        """  # noqa: D205
        if self.train is None:
            return "en"
        first = listed(self.train)[0]
        column = first.source_column.rpartition(".")[2]
        name = suffix_of(several(first.source)[0])[1:] if first.source else column
        return name[:2] if re.fullmatch(r"[a-z]{2}([-_]\w+)?", name) else "en"

    def corpora(self, role: Role) -> tuple[CorpusConfig, ...]:
        """Returns where the pairs of a role come from.

        Raises:
            ConfigError: The configuration does not say.
        """
        return listed(self._required(role))

    @property
    def training(self) -> tuple[TrainingCorpusConfig, ...]:
        """Where the training pairs come from.

        Raises:
            ConfigError: The configuration does not say.
        """
        corpora: TrainingCorpora = self._required("train")
        return listed(corpora)

    def _required(self, role: Role) -> Any:  # noqa: ANN401
        corpora = getattr(self, role)
        if corpora is None:
            raise ConfigError(
                f"data.{role}: is required; give data.{role}.source and data.{role}.target, "
                f"or data.{role}.path"
            )
        return corpora

    @property
    def tags(self) -> tuple[str, ...]:
        """What is put before sources of training corpora."""
        corpora = listed(self.train) if self.train is not None else ()
        return tuple(dict.fromkeys(one.tag for one in corpora if one.tag))

    def __post_init__(self) -> None:
        for role in ROLES:
            require(getattr(self, role) != (), role, "a corpus, or at least one in a list", [])
        if self.temperature is not None:
            require(self.temperature >= 1, "temperature", "at least 1", self.temperature)
            weights = [one.weight for one in listed(self.train or ())]
            accepted = "none where corpora have a weight"
            require(set(weights) <= {1.0}, "temperature", accepted, self.temperature)


SectionT = TypeVar("SectionT", bound=CorpusConfig)
TrainingCorpora = TrainingCorpusConfig | tuple[TrainingCorpusConfig, ...]


def listed(corpora: SectionT | tuple[SectionT, ...]) -> tuple[SectionT, ...]:
    """Returns one corpus, or several, as a tuple."""
    return corpora if isinstance(corpora, tuple) else (corpora,)


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """What is measured on the validation pairs while training."""

    beam_size: int = 1
    """Beam for the scores of validation translations; 1 is greedy and fast."""
    sentences: int = 1000
    """Translate the first sentences only; 0: none, so that loss is the only score."""
    metrics: tuple[Annotated[str, OneOf(METRICS)], ...] | None = ("bleu",)
    """Scores of the translations, besides the one that `train.metric` names; none: those that
    `evaluate` reports unless told."""
    bleu_tokenizer: Annotated[str, OneOf(BLEU_TOKENIZERS, AUTO)] = AUTO
    """What cuts texts into the words that BLEU counts, in `evaluate` as well; auto: what suits the
    script of the validation references, settled when a run that measures BLEU begins."""
    group_sources: bool = False
    """Take pairs with the same source for one that has several references, of which any is right,
    in `evaluate` as well."""
    samples: int = 5
    """Translations written to the run folder at each validation."""

    def __post_init__(self) -> None:
        for metric in self.metrics or ():
            require_name(metric, "metrics", METRICS)
        if self.bleu_tokenizer != AUTO:
            require_name(self.bleu_tokenizer, "bleu_tokenizer", (AUTO, *BLEU_TOKENIZERS))
        require(self.beam_size >= 1, "beam_size", "at least 1", self.beam_size)
        require(self.sentences >= 0, "sentences", "at least 0", self.sentences)
        require(self.samples >= 0, "samples", "at least 0", self.samples)


@dataclass(frozen=True, kw_only=True)
class TranslationConfig:
    """Text to text, with an encoder-decoder: translation, and everything shaped like it."""

    task: Literal["translation"] = "translation"
    """What the run is for."""
    folder: PathText = ""
    """The run folder; empty: `runs/` and the configuration file's name."""
    data: DataConfig = field(default_factory=DataConfig)
    """The corpora."""
    joint_tokenizer: bool = False
    """Learn one set of subwords from both sides, with the settings of `source`."""
    source: PipelineConfig = field(default_factory=PipelineConfig)
    """How source text becomes ids."""
    target: PipelineConfig = field(default_factory=PipelineConfig)
    """How target text becomes ids; its vocabulary holds only what training targets contain."""
    model: Seq2SeqConfig = field(default_factory=Seq2SeqConfig)
    """The encoder-decoder."""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=20, optimizer=OF_TEXT))
    """The training loop."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    """What is measured while training."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """How translations are searched for."""

    def __post_init__(self) -> None:
        subwords = self.source.subword_kind is not None
        same = self.source.subword_kind == self.target.subword_kind
        require(
            not self.joint_tokenizer or (subwords and same),
            "joint_tokenizer",
            "false unless source.tokenizer and target.tokenizer are the same subwords",
            self.joint_tokenizer,
        )
        attends = self.model.decoder.attention != "none"
        require(
            attends or not self.search.replace_unknown,
            "search.replace_unknown",
            "false where model.decoder.attention is none",
            self.search.replace_unknown,
        )
        known = (*self.source.tags, *self.data.tags)
        for role in ROLES[1:]:
            corpora = getattr(self.data, role) or ()
            for number, corpus in enumerate(listed(corpora)):
                place = f"{role}.{number}" if isinstance(corpora, tuple) else role
                fits = corpus.tag in ("", *known)
                accepted = "one of training corpora or source.tags"
                require(fits, f"data.{place}.tag", accepted, corpus.tag)
        measured = self.train.metric == "loss" or self.validation.sentences > 0
        require(
            measured,
            "validation.sentences",
            f"above 0 where train.metric is {self.train.metric}",
            self.validation.sentences,
        )

    @property
    def usual_metrics(self) -> tuple[str, ...]:
        """What `evaluate` reports unless told."""
        return ("bleu", "chrf", "exact")

    @property
    def validation_metrics(self) -> tuple[str, ...]:
        """The scores of validation translations that are meant."""
        chosen = self.validation.metrics
        return self.usual_metrics if chosen is None else chosen

    @property
    def measured_metrics(self) -> tuple[str, ...]:
        """The scores of validation translations that are measured, in the order of the table."""
        wanted = {*self.validation_metrics, self.train.metric} if self.validation.sentences else ()
        return tuple(name for name in METRICS if name in wanted)

    @property
    def measures_bleu(self) -> bool:
        """Whether validation depends on BLEU's tokenizer."""
        return take_tokenizer(self.measured_metrics)

    def settled(self) -> "TranslationConfig":
        """Returns the same with what depends on other keys written out, as a run keeps it."""
        tags = tuple(dict.fromkeys((*self.source.tags, *self.data.tags)))
        return replace(
            self,
            source=replace(self.source.settled(), tags=tags),
            target=self.target.settled(),
            validation=replace(self.validation, metrics=self.validation_metrics),
        )
