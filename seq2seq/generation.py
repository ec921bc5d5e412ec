"""From a run folder of a language model to text: generating it, and telling how likely it is."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, cast

import numpy as np
import torch
from jaxtyping import Float

from seq2seq.data.layout import flatten, pad
from seq2seq.errors import CheckpointError, DataError, Seq2SeqError, require
from seq2seq.evaluation.report import plot_surprisal
from seq2seq.models.folded import FoldedLanguageModel
from seq2seq.models.language_model import LanguageModel
from seq2seq.nn.decoder import DecoderState
from seq2seq.nn.linear import SearchPrecision
from seq2seq.runs import PIPELINE, load_model, read_config
from seq2seq.search.sampling import Dice, SamplingConfig, sample
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.tasks import LanguageModelTaskConfig, build_language_model
from seq2seq.tensors import TextBatch
from seq2seq.text.growing import GrowingText
from seq2seq.text.pipeline import Pipeline

ROWS = 64
"""Most samples made side by side."""
FIXED_ROWS = 8
"""Samples made side by side where the last bits of a matrix product depend on the number of its
rows: always so many, also for one, since a text must not."""
STEPS_AT_ONCE = 1024
"""Tokens of a text that are read together."""
Unknown = Literal["refuse", "replace"]
Ending = Literal["length", "stop", "document"]
log = logging.getLogger("seq2seq")


class Options(TypedDict, total=False):
    """The keywords of everything that generates; those of the sampling default to the run's."""

    length: int
    """Most characters after the prompt; by default 500."""
    stop: str | Sequence[str]
    """Text, or several, before which generation ends."""
    end: bool
    """Whether a text ends where the model ends a document; by default it does."""
    seed: int | None
    """The same seed gives the same text; without one it is drawn, and logged."""
    unknown: Unknown
    """``replace`` lets a prompt hold characters that the model does not know."""
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical: float
    repetition_penalty: float
    repetition_window: int


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What is asked for, defaults filled in and checked."""

    sampling: SamplingConfig
    prompt: str | None = None
    length: int = 500
    stop: str | Sequence[str] = ()
    end: bool = True
    seed: int | None = None
    unknown: Unknown = "refuse"

    def __post_init__(self) -> None:
        require(self.length >= 1, "length", "at least 1", self.length)
        require("" not in self.stops, "stop", "not empty", "")
        require(self.seed is None or self.seed >= 0, "seed", "at least 0", self.seed)

    @classmethod
    def of(cls, sampling: SamplingConfig, prompt: str | None, options: Options) -> "_Request":
        """Sorts the keywords: those of the sampling, and the others."""
        own = {field.name for field in fields(cls)}
        how = {key: value for key, value in options.items() if key not in own}
        what: dict[str, Any] = {key: value for key, value in options.items() if key in own}
        how_drawn = replace(sampling, **cast(dict[str, Any], how))
        request = cls(sampling=how_drawn, prompt=prompt, **what)
        seed = request.seed
        drawn = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        return replace(request, seed=drawn)

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts before which generation ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


@dataclass(frozen=True)
class Sample:
    """A generated text."""

    prompt: str
    text: str
    """What follows the prompt."""
    seed: int
    number: int
    """Which of the samples with this seed it is; the first is 0."""
    ending: Ending
    """Why it ends: the length asked for, a stop text, or the end of a document."""


@dataclass(frozen=True, eq=False)
class Surprisal:
    """How unlikely a text was to the model, character by character (or piece by piece)."""

    tokens: tuple[str, ...]
    """The text, cut as the model reads it; a character that takes several bytes is whole."""
    bits: Float[np.ndarray, "T"]
    """``-log2 p(token | all before it)``."""
    characters: int

    @property
    def bits_per_character(self) -> float:
        """Bits of the whole text over its number of characters."""
        return float(self.bits.sum()) / self.characters


class Generator:
    """Generates text, and scores it.

    >>> generator = Generator.load("runs/shakespeare")  # doctest: +SKIP
    >>> print(generator("ROMEO:", length=400, temperature=0.8, seed=1))  # doctest: +SKIP
    """

    def __init__(
        self,
        model: LanguageModel,
        pipeline: Pipeline,
        sampling: SamplingConfig,
        precision: SearchPrecision = "float32",
    ) -> None:
        self.model = model
        self.stepper = FoldedLanguageModel(model, precision)
        self.pipeline = pipeline
        self.sampling = sampling

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        checkpoint: str = "best",
        device: str = "auto",
        precision: SearchPrecision = "float32",
    ) -> "Generator":
        """Loads a run folder; ``int8`` generates faster, and slightly other text.

        Raises:
            CheckpointError: It is no run folder of a language model, or the checkpoint is missing
                or damaged.
        """
        folder = Path(run)
        config = read_config(folder)
        if not isinstance(config, LanguageModelTaskConfig):
            raise CheckpointError(f"{folder}: its task is {config.task}; use `seq2seq translate`")
        pipeline = Pipeline.load(folder / PIPELINE)
        model = build_language_model(config, pipeline)
        load_model(model, folder, checkpoint, device)
        generator = cls(model, pipeline, config.sampling, precision)
        generator._warm_up()
        return generator

    def _warm_up(self) -> None:
        """Runs the model once, so that what its kernels set up is done before the first text."""
        with torch.inference_mode():
            _, state = self._read([BOS], self.model.start(1))
            first = torch.zeros(self._rows(1), dtype=torch.long, device=self.model.device)
            self.stepper.step(state.select(first), first[:, None])

    def _rows(self, wanted: int) -> int:
        """Returns how many samples are made side by side, where so many are wanted."""
        return min(wanted, ROWS) if self.stepper.apart else FIXED_ROWS

    def __call__(self, prompt: str | None = None, **options: Unpack[Options]) -> str:
        """Returns the prompt and what follows it; without a prompt, a document's beginning.

        Keywords are those of :class:`Options`.

        Raises:
            DataError: The prompt is empty, or holds characters that the model does not know.
            ConfigError: A setting makes no sense.
        """
        return (prompt or "") + "".join(self.stream(prompt, **options))

    def stream(self, prompt: str | None = None, **options: Unpack[Options]) -> Iterator[str]:
        """Yields what follows the prompt piece by piece, as it is made, in constant memory.

        Keywords and errors are those of :meth:`__call__`.
        """
        request, context = self._begin(prompt, options)
        return (piece for _, piece, _ in self._pieces(context, range(1), request) if piece)

    def samples(
        self, prompt: str | None = None, count: int = 1, **options: Unpack[Options]
    ) -> Iterator[Sample]:
        """Returns several texts, made as they are asked for.

        Each is a function of the seed and its number alone, however many there are. Keywords and
        errors are those of :meth:`__call__`.
        """
        require(count >= 1, "samples", "at least 1", count)
        request, context = self._begin(prompt, options)
        rows = self._rows(count)
        return chain.from_iterable(
            self._together(context, range(first, min(first + rows, count)), request)
            for first in range(0, count, rows)
        )

    def _begin(self, prompt: str | None, options: Options) -> tuple[_Request, list[int]]:
        """Returns what is asked for and the ids to go on from; a seed that it drew is logged."""
        request = _Request.of(self.sampling, prompt, options)
        context = self._context(prompt, request.unknown)
        if options.get("seed") is None:
            log.info("seed %d", request.seed)
        return request, context

    def _together(self, context: list[int], numbers: range, request: _Request) -> list[Sample]:
        """Returns the samples of one block."""
        assert request.seed is not None
        texts: dict[int, list[str]] = {number: [] for number in numbers}
        endings: dict[int, Ending] = {}
        for number, piece, ending in self._pieces(context, numbers, request):
            texts[number].append(piece)
            if ending:
                endings[number] = ending
        prompt = request.prompt or ""
        return [
            Sample(prompt, "".join(texts[number]), request.seed, number, endings[number])
            for number in numbers
        ]

    def score(self, text: str, *, unknown: Unknown = "refuse") -> Surprisal:
        """Returns how unlikely a text is, as a document's beginning.

        Scores are those of the weights in float32, also where ``int8`` generates.

        Raises:
            DataError: The text is empty, or holds characters that the model does not know.
        """
        context = self._context(text, unknown, "text")
        bits, state = [], self.model.start(1)
        with torch.inference_mode():
            for start in range(0, len(context) - 1, STEPS_AT_ONCE):
                after = context[start + 1 : start + 1 + STEPS_AT_ONCE]
                outputs, state = self._read(context[start : start + len(after)], state)
                log_probs = self.model.head(outputs)[0].double()
                index = torch.tensor(after, device=log_probs.device)[:, None]
                bits.append(-log_probs.gather(1, index)[:, 0].cpu().numpy() / math.log(2))
        return _surprisal(self.pipeline, context[1:], np.concatenate(bits), len(text))

    def plot_surprisal(
        self, text: str, path: str | Path | None = None, *, unknown: Unknown = "refuse"
    ) -> Path:
        """Draws a text, each character coloured by its surprisal; returns the picture's path.

        Raises:
            DataError: The text is empty, or holds characters that the model does not know.
            ConfigError: matplotlib is not installed.
        """
        path = Path("surprisal.png" if path is None else path)
        found = self.score(text, unknown=unknown)
        plot_surprisal(found.tokens, found.bits, path)
        return path

    def _context(self, text: str | None, unknown: Unknown, name: str = "prompt") -> list[int]:
        """Returns the ids that stand before what is to be generated, the start symbol first."""
        if text is None:
            return [BOS]
        ids = self.pipeline.encode([text])[0]
        if not ids:  # of white space alone, some tokenizers make nothing
            other = ", or leave it out to begin as documents begin" if name == "prompt" else ""
            raise DataError(f"{name}: is empty; give some text{other}")
        if UNK in ids and unknown == "refuse":
            strange = self.pipeline.unknown(text)
            shown = ", ".join(map(_named, strange[:5]))
            more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
            raise DataError(
                f"{name}: the vocabulary lacks {shown}{more}; leave out what it lacks, "
                "or read it as unknown with --unknown replace (in Python: unknown='replace')"
            )
        return [BOS, *ids]

    def _parted(self, context: list[int], prompt: str) -> bool:
        """Tells whether a prompt ends in white space that its ids lack, as those of words do."""
        bare = prompt.rstrip()
        return bare != prompt and self.pipeline.encode([bare])[0] == context[1:]

    def _read(self, ids: Sequence[int], state: DecoderState) -> tuple[torch.Tensor, DecoderState]:
        """Runs over one text from a state on."""
        tokens = pad(*flatten([ids])).to(self.model.device)
        batch = TextBatch(
            tokens, tokens, torch.zeros(1, dtype=torch.bool, device=self.model.device)
        )
        return self.model.read(batch, state.layers)

    def _pieces(
        self,
        context: list[int],
        numbers: range,
        request: _Request,
    ) -> Iterator[tuple[int, str, Ending | None]]:
        """Yields number, new text and, at its end, the ending of each sample of a block.

        The prompt is read once; its state is every sample's.
        """
        assert request.seed is not None
        config = request.sampling
        device, rows = self.model.device, self._rows(len(numbers))
        state = self.model.start(1)
        with torch.inference_mode():
            for first in range(0, len(context) - 1, STEPS_AT_ONCE):
                some = context[first : min(first + STEPS_AT_ONCE, len(context) - 1)]
                _, state = self._read(some, state)
            state = state.select(torch.zeros(rows, dtype=torch.long, device=device))
        tokens = torch.tensor([context[-config.repetition_window - 1 :]] * rows, device=device)
        dice = Dice(request.seed, range(numbers.start, numbers.start + rows))
        banned = (PAD, BOS, UNK) if request.end else (PAD, BOS, UNK, EOS)
        shared = self.pipeline, context, request, self._parted(context, request.prompt or "")
        writers = {row: _Writer(*shared) for row in range(len(numbers))}
        for drawn in sample(self.stepper, state, tokens, config, dice, banned):
            ids = drawn.tolist()
            if PAD in ids:  # banned, so it says that there was nothing to draw from
                raise Seq2SeqError(
                    "the model's probabilities are not numbers; use another checkpoint, "
                    "or train with a lower train.optimizer.learning_rate"
                )
            for row, writer in list(writers.items()):
                piece = writer.write(ids[row])
                yield numbers[row], piece, writer.ending
                if writer.ending:
                    del writers[row]
            if not writers:
                return


class _Writer:
    """The text of one sample as it grows: cut at its length, and before a stop text."""

    def __init__(
        self, pipeline: Pipeline, context: Sequence[int], request: _Request, parted: bool
    ) -> None:
        self.growing = GrowingText(pipeline, context)
        self.parted = parted
        self.stops = request.stops
        self.left = request.length
        self.ending: Ending | None = None
        self.held = ""

    def write(self, token: int) -> str:
        """Takes a token; returns the text that is now certain."""
        piece = self.growing.finish() if token == EOS else self.growing.add(token)
        if piece and self.parted:  # already, by what the prompt ends in
            piece, self.parted = piece.removeprefix(" "), False
        text, self.held = self.held + piece, ""
        if token == EOS:
            return self._cut(text, "document")
        found = [(at + len(one), at) for one in self.stops if (at := text.find(one)) >= 0]
        if found:  # which is complete first does not hang on how long the tokens are
            return self._cut(text[: min(found)[1]], "stop")
        keep = max((_overlap(text, one) for one in self.stops), default=0)
        self.held = text[len(text) - keep :]
        return self._cut(text[: len(text) - keep], None)

    def _cut(self, text: str, ending: Ending | None) -> str:
        """Returns as much of a text as fits into the length."""
        cut = len(text) > self.left or (len(text) == self.left and ending is None)
        self.ending = "length" if cut else ending
        text = text[: self.left]
        self.left -= len(text)
        return text


def _surprisal(
    pipeline: Pipeline, ids: Sequence[int], bits: Float[np.ndarray, "T"], characters: int
) -> Surprisal:
    """Joins tokens that are less than a character to characters, and adds up their bits."""
    growing, tokens, sums, waiting = GrowingText(pipeline), list[str](), list[float](), 0.0
    for index, own in zip(ids, bits.tolist(), strict=True):
        waiting += own
        if text := growing.add(index):
            tokens.append(text)
            sums.append(waiting)
            waiting = 0.0
    rest = growing.finish()
    if rest or waiting:  # the last tokens may be less than a character, or have no text
        tokens.append(rest)
        sums.append(waiting)
    return Surprisal(tuple(tokens), np.array(sums), characters)


def _named(token: str) -> str:
    """Returns a token for a message; of a character, also its code point."""
    return f"{token!r} (U+{ord(token):04X})" if len(token) == 1 else repr(token)


def _overlap(text: str, stop: str) -> int:
    """Returns how much of the beginning of ``stop`` the end of ``text`` is."""
    most = min(len(text), len(stop) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(stop[:size])), 0)
