"""Pairs of texts, and how an encoder-decoder learns from them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import torch

from seq2seq.data.cache import clear_leftovers
from seq2seq.data.pairs.batches import Batches, padding
from seq2seq.data.pairs.corpus import Corpus, files_of, given_pairs, open_corpora
from seq2seq.data.pairs.mixture import Mixture, Part, encode_mixture, open_mixture
from seq2seq.data.pairs.store import FilterConfig, encode_corpus
from seq2seq.data.references import all_texts
from seq2seq.errors import DataError, as_texts
from seq2seq.evaluation.bleu_tokenizer import pick_tokenizer
from seq2seq.evaluation.text_loss import measure
from seq2seq.measures import AUTO, METRICS, require_ready
from seq2seq.models.seq2seq import Seq2Seq
from seq2seq.runs.folder import begun_commits
from seq2seq.symbols import UNK
from seq2seq.tasks.start import TokenRows
from seq2seq.tasks.task import Data, Material, Ready, warn_of_unknown, write_samples
from seq2seq.tasks.translation.cases import Case, grouped, restored, tell_of_ambiguous
from seq2seq.tasks.translation.config import DataConfig, TranslationConfig, listed
from seq2seq.tasks.translation.pipelines import Pipelines, build_model
from seq2seq.tasks.translation.translator import MOST_TOKENS, Translator


@dataclass(frozen=True)
class PairMaterial(Material[TranslationConfig, Pipelines]):
    """Pairs of texts, for an encoder-decoder."""

    train: Mixture
    valid: Corpus
    commits: Mapping[str, str] = field(default_factory=dict)
    """Those that data sets of the hub are read at, by what the configuration names."""

    @classmethod
    def open(cls, config: TranslationConfig, data: Data) -> "PairMaterial":
        """Opens the corpora: lists of pairs from Python, or what the configuration names."""
        settings, commits = config.data, begun_commits(Path(config.folder))
        if "train" in data:
            train = Mixture.mix([Part(given_pairs(data["train"], "train pairs"))])
        else:
            train = open_training(settings, commits)
        if "valid" in data:
            valid = given_pairs(data["valid"], "valid pairs")
        else:
            valid = open_corpora(settings.corpora("valid"), Path(settings.folder), commits)
        return cls(config, train, valid, commits)

    def settled(self, begun: object) -> "PairMaterial":
        """Returns the same with BLEU's tokenizer chosen, if validation measures BLEU.

        A run that was begun keeps its own, so that its scores stay comparable.
        """
        config = self.config
        if not config.measures_bleu:
            return self
        name = config.validation.bleu_tokenizer
        if name == AUTO and isinstance(begun, TranslationConfig):
            name = begun.validation.bleu_tokenizer
        if begun is None or name != AUTO:
            references = islice(self.valid.targets(), config.validation.sentences)
            name = pick_tokenizer(name, references, "validation.bleu_tokenizer")
        validation = replace(config.validation, bleu_tokenizer=name)
        return replace(self, config=replace(config, validation=validation))

    def fingerprints(self) -> dict[str, str]:
        """Returns a hash of each corpus' content."""
        return {"train": self.train.fingerprint(), "valid": self.valid.fingerprint()}

    def origins(self) -> Mapping[str, str]:
        """Returns the commits of data sets of the hub."""
        return self.commits

    def learn(self) -> Pipelines:
        """Learns tokenizers and vocabularies of both sides."""
        return Pipelines.train(self.config, self.train)

    def load(self, folder: Path) -> Pipelines:
        """Reads what was learned earlier."""
        return Pipelines.load(folder)

    def keep(self, earlier: Pipelines, *, grow: bool) -> Pipelines:
        """Returns what another run has learned: as it is, or grown by what the pairs need."""
        return earlier.grown(self.config, self.train) if grow else earlier.kept(self.config)

    def token_rows(self, pipelines: Pipelines) -> Sequence[TokenRows]:
        """Returns both embeddings and the output layer."""
        source, target = self.config.source.vectors, self.config.target.vectors
        into, out = pipelines.source.vocabulary, pipelines.target.vocabulary
        return (
            TokenRows("source_input", into, "source", source, "model.encoder.embedding_size"),
            TokenRows("target_input", out, "target", target, "model.embedding_size"),
            TokenRows("head", out, "target"),
        )

    def ready(self, pipelines: Pipelines, folder: Path, device: torch.device) -> Ready:
        """Encodes the corpora, and makes the model and its validation."""
        config = self.config
        keep_text = config.source.sampling > 0 or config.target.sampling > 0
        both = pipelines.source, pipelines.target
        encoded = encode_mixture(
            self.train, *both, config.data.filters, self.cache, keep_text=keep_text
        )
        resample = both if keep_text else None
        store, seed = encoded.store, config.train.seed
        batches = Batches(store, config.data.batch, seed, resample, encoded.shares)
        model = build_model(config, pipelines).to(device)
        validation = PairValidation(config, model, pipelines, self.valid, folder)
        plan = batches.plan(0)
        facts = (
            f"{encoded.facts}; {len(plan):,} batches an epoch, "
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


def held_out(settings: DataConfig) -> set[Path]:
    """Returns the whole paths of the files that are for validation and test, as far as known."""
    found: set[Path] = set()
    for config in (*listed(settings.valid or ()), *listed(settings.test or ())):
        with suppress(DataError):  # whoever opens it says what is wrong
            found |= files_of(config, Path(settings.folder))
    return found


def open_training(settings: DataConfig, commits: dict[str, str] | None = None) -> Mixture:
    """Opens the training corpora that a configuration names."""
    folder, others = Path(settings.folder), held_out(settings)
    return open_mixture(settings.training, settings.temperature, folder, others, commits)


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
        pairs = [pair for pair in corpus.pairs() if pair[0].strip() and pair[1].strip()]
        cases: Sequence[Case] = pairs
        if config.validation.group_sources:
            cases = grouped(pairs)
        elif config.measured_metrics:
            tell_of_ambiguous(pairs)
        self.cases = cases[: config.validation.sentences]
        self.references = restored(self.cases, pipelines.target)
        self.tokenizer = config.validation.bleu_tokenizer
        require_ready(config.measured_metrics)
        if config.measures_bleu:  # an earlier version began runs without choosing
            self.tokenizer = pick_tokenizer(self.tokenizer, all_texts(self.references))
        limits = FilterConfig(max_source_length=MOST_TOKENS, max_target_length=MOST_TOKENS)
        cache = folder / "valid"
        clear_leftovers(cache, age=0.0)  # nobody else writes into the run folder
        self.store = encode_corpus(corpus, pipelines.source, pipelines.target, limits, cache)
        self.batches = Batches(self.store, config.data.batch, seed=0)
        for side in ("source", "target"):
            warn_of_unknown(self.store.share(side, UNK), corpus.name, f"{side} tokens")

    def __call__(self) -> dict[str, float]:
        """Returns loss (nats per token, without smoothing), perplexity and translation scores."""
        loss = measure(self.model, self.batches).per_token
        scores = {"loss": loss, "perplexity": float(torch.tensor(loss).exp())}
        if self.cases:
            size = self.config.validation.beam_size  # of many candidates it would take too long
            search = replace(self.config.search, beam_size=size, mbr="none")
            translator = Translator([self.model], self.pipelines, search)
            sources = [source for source, _ in self.cases]
            texts = [translation.text for translation in translator(sources)]
            scores |= {
                name: METRICS[name](
                    texts, self.references, tokenize=self.tokenizer, sources=sources
                ).value
                for name in self.config.measured_metrics
            }
            self._write_samples(texts)
        return scores

    def _write_samples(self, texts: Sequence[str]) -> None:
        """Writes the first translations where a person can follow them."""
        blocks = [
            f"source:    {source}\nreference: {' / '.join(as_texts(accepted))}\nmodel:     {text}\n"
            for (source, accepted), text in list(zip(self.cases, texts, strict=True))[
                : self.config.validation.samples
            ]
        ]
        if blocks:
            write_samples(self.folder, "\n".join(blocks))
