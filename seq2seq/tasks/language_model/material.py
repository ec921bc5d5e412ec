"""Continuous text, and how a language model learns from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from seq2seq.data.cache import clear_leftovers
from seq2seq.data.documents.batches import TextBatches
from seq2seq.data.documents.store import TextStore, encode_texts
from seq2seq.data.documents.texts import Texts, given_documents, open_texts
from seq2seq.models.language_model import LanguageModel
from seq2seq.symbols import UNK
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.language_model.evaluation import measure_text
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.tasks.language_model.pipeline import build_model, read_from, train_pipeline
from seq2seq.tasks.start import TokenRows
from seq2seq.tasks.task import ROLES, Data, Material, Ready, warn_of_unknown, write_samples
from seq2seq.text.earlier import grown, kept
from seq2seq.text.pipeline import Pipeline


@dataclass(frozen=True)
class TextMaterial(Material[LanguageModelTaskConfig, Pipeline]):
    """Continuous text, for a language model."""

    train: Texts
    valid: Texts

    @classmethod
    def open(cls, config: LanguageModelTaskConfig, data: Data) -> "TextMaterial":
        """Opens the texts: lists of documents from Python, or what the configuration names."""
        train, valid = (
            given_documents(data[role], f"{role} texts")
            if role in data
            else open_texts(config.data.text(role), Path(config.data.folder))
            for role in ROLES
        )
        return cls(config, train, valid)

    def fingerprints(self) -> dict[str, str]:
        """Returns a hash of each text's content."""
        return {"train": self.train.fingerprint(), "valid": self.valid.fingerprint()}

    def learn(self) -> Pipeline:
        """Learns the tokenizer and its vocabulary."""
        return train_pipeline(self.config, self.train)

    def load(self, folder: Path) -> Pipeline:
        """Reads what was learned earlier."""
        return Pipeline.load(folder)

    def keep(self, earlier: Pipeline, *, grow: bool) -> Pipeline:
        """Returns what another run has learned: as it is, or grown by what the texts need."""
        if grow:
            return grown(earlier, self.config.text, read_from(self.config, self.train), key="text")
        return kept(earlier, self.config.text, "text")

    def token_rows(self, pipelines: Pipeline) -> Sequence[TokenRows]:
        """Returns the embedding and the output layer."""
        tokens, vectors = pipelines.vocabulary, self.config.text.vectors
        return (
            TokenRows("input", tokens, "text", vectors, "model.embedding_size"),
            TokenRows("head", tokens, "text"),
        )

    def ready(self, pipelines: Pipeline, folder: Path, device: torch.device) -> Ready:
        """Encodes the texts, and makes the model and its validation."""
        config = self.config
        store = encode_texts(self.train, pipelines, self.cache)
        batches = TextBatches(store, config.data.batch, config.train.seed)
        model = build_model(config, pipelines).to(device)
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
        warn_of_unknown(store.share(UNK), "validation text")

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
