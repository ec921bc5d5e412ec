"""Both ways between text and ids, and the model that fits them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import cast

from seq2seq.data.pairs.corpus import Corpus
from seq2seq.device.memory import build
from seq2seq.errors import DataError
from seq2seq.models.seq2seq import Seq2Seq, build_seq2seq
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.text import storage
from seq2seq.text.earlier import grown, kept
from seq2seq.text.given import cut_tag
from seq2seq.text.pipeline import Pipeline, train_tokenizer
from seq2seq.text.sentences import share_of_several

SOURCES = "sources.json"
SHARE, BARE = "several_sentences", "without_tag"


@dataclass(frozen=True)
class Pipelines:
    """Both ways between text and ids: of the source and of the target."""

    source: Pipeline
    target: Pipeline
    several: float | None = None
    """The share of training sources that hold several sentences; None: an earlier version made it.
    """
    bare: float | None = None
    """The share of training sources without a language tag; None: there are none, or as above."""

    @classmethod
    def train(cls, config: TranslationConfig, corpus: Corpus) -> "Pipelines":
        """Learns tokenizers and vocabularies from a training corpus.

        Raises:
            DataError: One side of the corpus is blank from beginning to end.
        """
        _require_text(corpus)
        shared = None
        if config.joint_tokenizer:

            def both() -> Iterator[str]:
                return chain(corpus.sources(), corpus.targets())

            symbols = tuple(dict.fromkeys((*config.source.symbols, *config.target.symbols)))
            settings = replace(config.source, symbols=symbols)
            shared = train_tokenizer(settings, both, key="source")
        return cls(
            Pipeline.train(config.source, corpus.sources, key="source", tokenizer=shared),
            Pipeline.train(
                config.target, corpus.targets, key="target", trim=True, tokenizer=shared
            ),
            share_of_several(corpus.sources()),
            _share_without(config.source.tags, corpus.sources()),
        )

    def kept(self, config: TranslationConfig) -> "Pipelines":
        """Returns the same, for a run that begins from the one that has learned them.

        Raises:
            ConfigError: The settings of its texts are others.
        """
        kept(self.source, config.source, "source")
        kept(self.target, config.target, "target")
        return self

    def grown(self, config: TranslationConfig, corpus: Corpus) -> "Pipelines":
        """Returns the same with what a new training corpus needs at the vocabularies' ends.

        Raises:
            ConfigError: The tokenizers of the settings are others.
            DataError: One side of the corpus is blank from beginning to end.
        """
        _require_text(corpus)
        return Pipelines(
            grown(self.source, config.source, corpus.sources, key="source"),
            grown(self.target, config.target, corpus.targets, key="target", trim=True),
            share_of_several(corpus.sources()),
            _share_without(config.source.tags, corpus.sources()),
        )

    @property
    def shared_symbols(self) -> tuple[str, ...]:
        """The user's own symbols of both sides."""
        return tuple(one for one in self.source.symbols if one in self.target.symbols)

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Two hashes of everything that decides about the ids of a text."""
        return self.source.fingerprint, self.target.fingerprint

    def save(self, folder: Path) -> None:
        """Writes both pipelines below ``folder``."""
        self.source.save(folder / "source")
        self.target.save(folder / "target")
        shares = {SHARE: self.several, BARE: self.bare}
        known = {name: share for name, share in shares.items() if share is not None}
        if known:
            storage.write(folder, {SOURCES: storage.to_json(known)})

    @classmethod
    def load(cls, folder: Path) -> "Pipelines":
        """Reads what :meth:`save` wrote."""
        path, shares = folder / SOURCES, dict[str, object]()
        if path.exists():
            shares = storage.read_json(path, {SHARE: float})
        several, bare = (cast(float | None, shares.get(name)) for name in (SHARE, BARE))
        return cls(
            Pipeline.load(folder / "source"), Pipeline.load(folder / "target"), several, bare
        )


def _share_without(tags: Sequence[str], sources: Iterable[str]) -> float | None:
    """Returns the share of sources that begin with none of the tags; None where there are none."""
    if not tags:
        return None
    counts = Counter(cut_tag(source, tags)[0] is None for source in sources)
    return counts[True] / max(1, counts.total())


def _require_text(corpus: Corpus) -> None:
    """Raises a :class:`DataError` where one side of a corpus is blank from beginning to end."""
    for side, texts in (("source", corpus.sources()), ("target", corpus.targets())):
        if not any(text.strip() for text in texts):
            raise DataError(f"{corpus.name}: every {side} text is blank; text is needed")


def build_model(config: TranslationConfig, pipelines: Pipelines) -> Seq2Seq:
    """Returns a model with fresh weights, drawn from the seed."""
    sizes = len(pipelines.source), len(pipelines.target)
    return build(lambda: build_seq2seq(config.model, *sizes), config.train.seed)
