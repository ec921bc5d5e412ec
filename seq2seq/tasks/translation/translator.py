"""A trained encoder-decoder in use: it translates texts."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, get_args

from seq2seq.data.layout import flatten, pad
from seq2seq.data.pairs.corpus import pairs_of
from seq2seq.device import GRAPHS
from seq2seq.errors import (
    CheckpointError,
    ConfigError,
    as_path,
    as_texts,
    require,
    require_kind,
    require_name,
    require_whole,
)
from seq2seq.models.ensemble import Ensemble, Mean, checked_weights
from seq2seq.models.seq2seq import Seq2Seq, fold_model
from seq2seq.nn.linear import SearchPrecision
from seq2seq.runs.folder import PIPELINE
from seq2seq.runs.loading import load_model
from seq2seq.search.asked import Asked
from seq2seq.search.config import SearchConfig
from seq2seq.search.memory import alike, halving
from seq2seq.search.replay import Replayed
from seq2seq.search.stepper import Reader
from seq2seq.search.strategies import search as search_for
from seq2seq.search.threads import side_by_side
from seq2seq.symbols import UNK
from seq2seq.tasks.task import read_config_of
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.copying import Copying
from seq2seq.tasks.translation.pipelines import Pipelines, build_model
from seq2seq.tasks.translation.reading import read
from seq2seq.tasks.translation.scoring import PairScore, log_probs_of, score_pairs
from seq2seq.tasks.translation.translation import Translation, blank, joined
from seq2seq.tasks.translation.wishes import Wishes
from seq2seq.text.sentences import (
    SPLITS,
    Sentences,
    Splitter,
    holds_several,
    in_sentences,
    splitter,
)

RARE = 0.01
"""Texts without a tag are odd where fewer of those learned from had none."""
MOST_TOKENS = 1000
"""Longer sources are cut."""
MOST_ROWS = 10_000
"""Hypotheses, of all texts of a batch, that are searched for at once."""
FAR_MORE, LEAST = 5, 0.01
"""A share of texts with several sentences is told of where it is so many times as large as in
training, and not less than this."""
REMEDY = "choose a smaller beam_size or max_length"
log = logging.getLogger("seq2seq")


class Translator:
    """Translates texts.

    >>> import seq2seq
    >>> translator = seq2seq.Translator.load("runs/quickstart")  # doctest: +SKIP
    >>> translator("Your order arrives on May 4, 2021.")[0].text  # doctest: +SKIP
    'Seu pedido chega em 4 de maio de 2021.'
    """

    def __init__(
        self,
        models: Sequence[Seq2Seq],
        pipelines: Pipelines,
        search: SearchConfig,
        precision: SearchPrecision = "float32",
        *,
        replay: bool = False,
        language: str = "en",
        weights: Sequence[float] | None = None,
        mean: Mean = "arithmetic",
    ) -> None:
        """With ``replay``, search steps are replayed as CUDA graphs.

        ``language`` is that of the sources, by whose rules texts are split into sentences.
        Probabilities of several models are averaged with ``weights`` to their ``mean``.
        """
        require_name(precision, "precision", get_args(SearchPrecision))
        require_name(mean, "mean", get_args(Mean))
        self.weights = checked_weights(weights, len(models))
        self.mean: Mean = mean
        self.models = tuple(models)
        self.pipelines = pipelines
        self.search = search
        self.language = language
        self.precision: SearchPrecision = precision
        self.replay = replay
        self.stepper = self._folded()

    def _folded(self) -> Reader[Any, Any]:
        """Returns the models for search."""
        folded = [fold_model(model, self.precision) for model in self.models]
        stepper: Reader[Any, Any] = folded[0]
        if len(folded) > 1:
            stepper = Ensemble(folded, self.weights, self.mean)
        return Replayed(stepper) if self.replay else stepper

    def __getstate__(self) -> dict[str, Any]:
        """Returns all but the packed weights, which cannot be copied: copies pack them anew."""
        return {name: value for name, value in vars(self).items() if name != "stepper"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.stepper = self._folded()

    @classmethod
    def load(
        cls,
        run: str | Path,
        *others: str | Path,
        checkpoint: str = "best",
        device: str = "auto",
        precision: SearchPrecision = "float32",
        weights: Sequence[float] | None = None,
        mean: Mean = "arithmetic",
    ) -> "Translator":
        """Loads a run folder, or several that translate together as an ensemble.

        With ``int8`` the models take eight bits a number: faster, and a few texts differ. An
        ensemble averages probabilities (``geometric``: their logarithms) with ``weights``, one a
        run; by default all weigh the same.

        Raises:
            CheckpointError: One is no run folder, its checkpoint is missing or damaged, or its
                vocabulary is another than the first one's.
            ConfigError: The weights do not fit the runs.
        """
        folders = [as_path(folder, "run") for folder in (run, *others)]
        weights = checked_weights(weights, len(folders))
        configs = [read_config_of(TranslationConfig, folder) for folder in folders]
        pipelines = [Pipelines.load(folder / PIPELINE) for folder in folders]
        models = []
        for folder, config, pipeline in zip(folders, configs, pipelines, strict=True):
            if pipeline.fingerprint != pipelines[0].fingerprint:
                raise CheckpointError(
                    f"{folder}: its tokenizers or vocabularies differ from those of {folders[0]}; "
                    "an ensemble needs runs that were trained on the same data"
                )
            model = build_model(config, pipeline)
            load_model(model, folder, checkpoint, device)
            models.append(model)
        return cls(
            models,
            pipelines[0],
            configs[0].search,
            precision,
            replay=device == GRAPHS,
            language=configs[0].data.source_language,
            weights=weights,
            mean=mean,
        )

    def __call__(  # noqa: PLR0913
        self,
        texts: str | Iterable[str],
        *,
        beam_size: int | None = None,
        n_best: int = 1,
        batch_size: int = 64,
        search: SearchConfig | None = None,
        split: str | None = None,
        language: str | None = None,
        first: int = 0,
        wishes: Wishes | None = None,
    ) -> list[Translation]:
        """Translates each text; the order is kept, a blank text gives a blank one.

        A plain string is one text: a list of one translation comes back. Texts of similar lengths
        share a batch; batch and neighbours do not change a result.

        Args:
            texts: One text or several.
            beam_size: Hypotheses kept while searching.
            n_best: Hypotheses returned of each text.
            batch_size: Texts searched for at once.
            search: All other settings, instead of the run's own.
            split: ``sentences`` translates the sentences of a text by themselves, keeps the line
                breaks between them, and joins all again.
            language: That of the texts, such as ``de``, by whose rules they are split; by default
                the one that the run's training files or columns are named after, else English.
            first: The number of the first text, by which ``strategy: sampling`` draws, where a
                stream of texts comes in several calls.
            wishes: What the translations must begin with, what must stand in them, and what is
                copied.

        Raises:
            DataError: Something else than texts.
            ConfigError: A setting makes no sense, or what it needs is not installed.
        """
        for key, count in (("n_best", n_best), ("batch_size", batch_size), ("first", first)):
            require_whole(count, key, int(key != "first"))
        require_kind("" if language is None else language, str, "language")
        require_kind(Wishes() if wishes is None else wishes, Wishes, "wishes")
        search = self._settings(search, beam_size, n_best)
        copying = self._copying(search, wishes)
        texts = as_texts(texts)
        if split is None:
            self._warn_of_several(texts)
            numbers = list(range(first, first + len(texts)))
            asked = self._asked(texts, numbers, wishes)
            return self._search(texts, asked, search, n_best, batch_size, copying)
        require_name(split, "split", SPLITS)
        only = wishes is None or (wishes.prefixes is None and wishes.terms is None)
        require(only, "wishes", "a glossary alone where split is given", wishes)
        cut = splitter(language or self.language)
        whole = [self._in_sentences(text, cut) for text in texts]
        pieces = [piece for one in whole for piece in one.tagged]
        asked = self._asked(pieces, _numbers(whole, first), wishes)
        found = iter(self._search(pieces, asked, search, n_best, batch_size, copying))
        return [
            joined(text, one, list(islice(found, len(one.pieces))), search.length_penalty, n_best)
            for text, one in zip(texts, whole, strict=True)
        ]

    def score(self, pairs: Iterable[tuple[str, str]], *, batch_size: int = 64) -> list[PairScore]:
        """Returns how likely each target is, given its source; the order is kept.

        A target is scored as the model's own pipeline cuts it, and to its end; sources are read as
        those that are translated.

        Args:
            pairs: Sources and their targets.
            batch_size: Pairs scored at once.

        Raises:
            DataError: Something else than pairs of texts.
            ConfigError: The batch size makes no sense.
        """
        require_whole(batch_size, "batch_size", 1)
        pairs = pairs_of(pairs, "pairs")
        sources = self._encode([source for source, _ in pairs])
        spread = side_by_side if self.models[0].device.type == "cpu" else map
        score = partial(log_probs_of, self.stepper, self.models[0].device)
        return score_pairs(pairs, sources, self.pipelines.target, score, batch_size, spread)

    def _settings(
        self, search: SearchConfig | None, beam_size: int | None, n_best: int
    ) -> SearchConfig:
        """Returns the settings of a search, whose beam has room for all that is asked for."""
        search = self.search if search is None else search
        require_kind(search, SearchConfig, "search")
        if beam_size is not None:
            search = replace(search, beam_size=beam_size)
        return replace(search, beam_size=max(search.beam_size, search.wanted(n_best)))

    def _copying(self, search: SearchConfig, wishes: Wishes | None) -> Copying | None:
        """Returns what is copied from the sources, if anything is."""
        symbols = self.pipelines.shared_symbols if has_attention(self) else ()
        copying = (wishes or Wishes()).copying(search, symbols)
        if copying is not None:
            require_attention(self, "replace_unknown" if search.replace_unknown else "placeholders")
        return copying

    def _asked(
        self, texts: Sequence[str], numbers: Sequence[int], wishes: Wishes | None
    ) -> list[Asked]:
        """Returns what is asked of each text."""
        if wishes is None:
            return [Asked(number) for number in numbers]
        return wishes.asked(texts, numbers, self.pipelines.target)

    def _search(
        self,
        texts: Sequence[str],
        asked: Sequence[Asked],
        search: SearchConfig,
        n_best: int,
        batch_size: int,
        copying: Copying | None,
    ) -> list[Translation]:
        """Translates texts as they are."""
        rows = self._encode(texts)
        results = [blank(text) for text in texts]

        def translate(batch: Sequence[int]) -> list[Translation]:
            source = pad(*flatten([rows[index] for index in batch])).to(self.models[0].device)
            wishes = [asked[index] for index in batch]
            hypotheses = search_for(self.stepper, source, search, search.wanted(n_best), wishes)
            return [
                read(self.pipelines, texts[index], rows[index], some, search, copying, n_best)
                for index, some in zip(batch, hypotheses, strict=True)
            ]

        # The longest first, so that at the end no worker has much left while others have none.
        size = max(1, min(batch_size, MOST_ROWS // search.beam_size))
        lengths = [len(row) for row in rows]
        # Terms cost time, which others should not share.
        with_terms = [index for index, one in enumerate(asked) if one.terms]
        without = [index for index, one in enumerate(asked) if not one.terms]
        kinds = (alike(lengths, some, size) for some in (without, with_terms))
        batches = list(chain.from_iterable(kinds))[::-1]
        spread = side_by_side if self.models[0].device.type == "cpu" else map
        results_of = partial(halving, translate, remedy=REMEDY)
        for batch, translations in zip(batches, spread(results_of, batches), strict=True):
            for index, translation in zip(batch, translations, strict=True):
                results[index] = translation
        if copying is not None:
            copying.tell_of_lost([(one.source, one.text) for one in results])
        return results

    def _in_sentences(self, text: str, cut: Splitter) -> Sentences:
        """Cuts a text into sentences, each with the text's tag."""
        tag, rest = self.pipelines.source.cut_tag(text)
        return replace(in_sentences(rest, cut), tag=tag)

    def _warn_of_several(self, texts: Sequence[str]) -> None:
        """Says so where many more texts hold several sentences than those learned from."""
        usual = self.pipelines.several
        if usual is None:
            return
        if sum(map(holds_several, texts)) > max(FAR_MORE * usual, LEAST) * len(texts):
            _warn(
                "some texts hold several sentences, and are translated as if they were one; of the "
                f"texts that the model has learned from, {100 * usual:.1f} % do. "
                "`translate --split sentences` (in Python: split='sentences') translates each "
                "sentence by itself"
            )

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Encodes all texts; cuts those that are too long, and says what is odd about them."""
        rows = self.pipelines.source.encode([text if text.strip() else "" for text in texts])
        rows = [row if text.strip() else [] for row, text in zip(rows, texts, strict=True)]
        for doubtful, problem in _doubtful(self.pipelines, texts, rows):
            counted = f"{len(doubtful)} of {len(rows)} texts"
            _warn(f"{counted} {problem}; the first begins {doubtful[0][:40]!r}")
        return [row[:MOST_TOKENS] for row in rows]


def has_attention(translator: Translator) -> bool:
    """Tells whether a model looks at the source."""
    return any(model.decoder.attention is not None for model in translator.models)


def require_attention(translator: Translator, key: str) -> None:
    """Raises a :class:`ConfigError` if no model has attention, which the setting ``key`` needs."""
    if not has_attention(translator):
        raise ConfigError(f"{key}: needs attention; the run has none (model.decoder.attention)")


def _doubtful(
    pipelines: Pipelines, texts: Sequence[str], rows: Sequence[Sequence[int]]
) -> Iterator[tuple[list[str], str]]:
    """Yields the texts that a model may not be able to translate, and why, kind by kind."""
    source = pipelines.source
    tags = source.vocabulary.tag_ids if (pipelines.bare or 0) < RARE else {}
    pairs = list(zip(texts, rows, strict=True))
    if long := [text for text, row in pairs if len(row) > MOST_TOKENS]:
        yield long, f"longer than {MOST_TOKENS:,} tokens are cut there"
    if tags and (bare := [text for text, row in pairs if row and row[0] not in tags.values()]):
        yield bare, f"begin with none of the tags {', '.join(tags)}"
    if strange := [text for text, row in pairs if UNK in row]:
        yield strange, f"hold what the model does not know, as {source.unknown(strange[0])[0]!r}"


def _numbers(whole: Iterable[Sentences], first: int) -> list[int]:
    """Returns the number of each sentence; the first is drawn as the whole text would be."""
    return [
        number + (place << 32)
        for number, one in enumerate(whole, first)
        for place in range(len(one.pieces))
    ]


@lru_cache  # validation translates the same texts again and again, and is told of once
def _warn(problem: str) -> None:
    log.warning("%s", problem)
