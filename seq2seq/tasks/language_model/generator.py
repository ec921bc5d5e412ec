"""A trained language model in use: it generates text, and tells how likely a text is."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch

from seq2seq.data.layout import flatten, pad
from seq2seq.device import GRAPHS
from seq2seq.errors import (
    DataError,
    Seq2SeqError,
    as_path,
    as_texts,
    require_name,
    require_text,
    require_whole,
)
from seq2seq.evaluation.plots.surprisal import plot_surprisal
from seq2seq.models.language_model import (
    FoldedLanguageModel,
    LanguageModel,
    fold_language_model,
)
from seq2seq.nn.decoder import DecoderState
from seq2seq.nn.linear import SearchPrecision
from seq2seq.runs.folder import PIPELINE
from seq2seq.runs.loading import load_model
from seq2seq.search.config import SamplingConfig
from seq2seq.search.memory import halving
from seq2seq.search.replay import Replayed
from seq2seq.search.rules import never
from seq2seq.search.sampling import Dice, fresh_seed, sample
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.language_model.pipeline import build_model
from seq2seq.tasks.language_model.request import Ending, Request, Sample, Unknown
from seq2seq.tasks.language_model.surprisal import Surprisal, by_character
from seq2seq.tasks.language_model.writer import Writer
from seq2seq.tasks.task import read_config_of
from seq2seq.tensors import TextBatch
from seq2seq.text.pipeline import Pipeline

ROWS = 64
"""Most samples made side by side."""
FIXED_ROWS = 8
"""Samples made side by side where the last bits of a model's scores depend on how many there are:
always eight, even if fewer are wanted, so that each text is the same whatever their number. On a
GPU, where a step takes as long for many as for one, always the most."""
REMEDY = "choose a shorter prompt or repetition_window"
STEPS_AT_ONCE = 1024
"""Tokens of a text that are read together."""
log = logging.getLogger("seq2seq")


class Generator:
    """Generates text, and scores it: ``Generator.load("runs/shakespeare")("ROMEO:", length=400)``.

    A call makes one text, :meth:`samples` several; :meth:`stream` yields a text as it is made,
    :meth:`score` measures one.
    """

    def __init__(
        self,
        model: LanguageModel,
        pipeline: Pipeline,
        sampling: SamplingConfig,
        precision: SearchPrecision = "float32",
        *,
        replay: bool = False,
    ) -> None:
        """With ``replay``, steps are replayed as CUDA graphs."""
        require_name(precision, "precision", get_args(SearchPrecision))
        self.model = model
        self.pipeline = pipeline
        self.sampling = sampling
        self.precision: SearchPrecision = precision
        self.replay = replay
        self.stepper = self._folded()

    def _folded(self) -> LanguageModel | FoldedLanguageModel | Replayed[Any, Any]:
        """Returns the model for generation."""
        stepper = fold_language_model(self.model, self.precision)
        return Replayed(stepper) if self.replay else stepper

    def __getstate__(self) -> dict[str, Any]:
        """Returns all but the packed weights, which cannot be copied: copies pack them anew."""
        return {name: value for name, value in vars(self).items() if name != "stepper"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.stepper = self._folded()
        self._warm_up()

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
        folder = as_path(run, "run")
        config = read_config_of(LanguageModelTaskConfig, folder)
        pipeline = Pipeline.load(folder / PIPELINE)
        model = build_model(config, pipeline)
        load_model(model, folder, checkpoint, device)
        replay = device == GRAPHS
        generator = cls(model, pipeline, config.sampling, precision, replay=replay)
        generator._warm_up()
        return generator

    @property
    def models(self) -> tuple[LanguageModel]:
        """The model, as every :class:`seq2seq.tasks.task.Use` has it."""
        return (self.model,)

    def _warm_up(self) -> None:
        """Runs the model once, so that what its kernels set up is done before the first text."""
        with torch.inference_mode():
            _, state = self._read([BOS], self.model.start(1))
            first = torch.zeros(self._rows(1), dtype=torch.long, device=self.model.device)
            self.stepper.step(None, state.select(first), first[:, None])

    def _rows(self, wanted: int) -> int:
        """Returns how many samples are made side by side, where so many are wanted."""
        if self.stepper.batch_invariant:
            return min(wanted, ROWS)
        return ROWS if self.model.device.type == "cuda" else FIXED_ROWS

    def __call__(  # noqa: PLR0913
        self,
        prompt: str | None = None,
        *,
        length: int = 500,
        stop: str | Iterable[str] = (),
        end: bool = True,
        seed: int | None = None,
        unknown: Unknown = "refuse",
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        typical: float | None = None,
        repetition_penalty: float | None = None,
        repetition_window: int | None = None,
    ) -> str:
        """Returns the prompt and what follows it; without a prompt, a document's beginning.

        Args:
            prompt: What the text begins with.
            length: Most characters after the prompt.
            stop: Text, or several, before which generation ends.
            end: Whether a text ends where the model ends a document.
            seed: The same seed gives the same text; without one it is drawn, and logged.
            unknown: ``replace`` lets a prompt hold characters that the model does not know.
            temperature: This and what follows default to the run's own settings, which
                :class:`SamplingConfig` explains.
            top_k: See there.
            top_p: See there.
            min_p: See there.
            typical: See there.
            repetition_penalty: See there.
            repetition_window: See there.

        Raises:
            DataError: The prompt is empty, or holds characters that the model does not know.
            ConfigError: A setting makes no sense.
        """
        request, context = self._begin(
            *(prompt, length, stop, end, seed, unknown),
            *(temperature, top_k, top_p, min_p, typical, repetition_penalty, repetition_window),
        )
        return (prompt or "") + "".join(self._pieces_of_one(request, context))

    def stream(  # noqa: PLR0913
        self,
        prompt: str | None = None,
        *,
        length: int = 500,
        stop: str | Iterable[str] = (),
        end: bool = True,
        seed: int | None = None,
        unknown: Unknown = "refuse",
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        typical: float | None = None,
        repetition_penalty: float | None = None,
        repetition_window: int | None = None,
    ) -> Iterator[str]:
        """Yields what follows the prompt piece by piece, as it is made, in constant memory.

        Keywords and errors are those of :meth:`__call__`.
        """
        request, context = self._begin(
            *(prompt, length, stop, end, seed, unknown),
            *(temperature, top_k, top_p, min_p, typical, repetition_penalty, repetition_window),
        )
        return self._pieces_of_one(request, context)

    def samples(  # noqa: PLR0913
        self,
        prompt: str | None = None,
        count: int = 1,
        *,
        length: int = 500,
        stop: str | Iterable[str] = (),
        end: bool = True,
        seed: int | None = None,
        unknown: Unknown = "refuse",
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        typical: float | None = None,
        repetition_penalty: float | None = None,
        repetition_window: int | None = None,
    ) -> Iterator[Sample]:
        """Returns several texts, made as they are asked for.

        Each is a function of the seed and its number alone, however many there are. Keywords and
        errors are those of :meth:`__call__`.
        """
        require_whole(count, "count", 1)
        request, context = self._begin(
            *(prompt, length, stop, end, seed, unknown),
            *(temperature, top_k, top_p, min_p, typical, repetition_penalty, repetition_window),
        )
        rows = self._rows(count)
        return chain.from_iterable(
            halving(
                partial(self._together, context, request=request),
                range(first, min(first + rows, count)),
                REMEDY,
            )
            for first in range(0, count, rows)
        )

    def _begin(
        self,
        prompt: str | None,
        length: int,
        stop: str | Iterable[str],
        end: bool,
        seed: int | None,
        unknown: Unknown,
        *sampling: float | int | None,
    ) -> tuple[Request, list[int]]:
        """Returns what is asked for, and the ids to go on from; a seed that it draws is logged.

        ``sampling`` are the fields of :class:`SamplingConfig`, in their order.
        """
        names = (field.name for field in fields(SamplingConfig))
        given = {
            name: value for name, value in zip(names, sampling, strict=True) if value is not None
        }
        request = Request(
            sampling=replace(self.sampling, **cast(dict[str, Any], given)),
            seed=fresh_seed() if seed is None else seed,
            prompt=prompt,
            length=length,
            stops=tuple(as_texts(stop, "stop")),
            end=end,
        )
        context = self._context(prompt, unknown)
        if seed is None:
            log.info("seed %d", request.seed)
        return request, context

    def _pieces_of_one(self, request: Request, context: list[int]) -> Iterator[str]:
        """Returns what follows the prompt in one text, piece by piece."""
        return (piece for _, piece, _ in self._pieces(context, range(1), request) if piece)

    def _together(
        self, context: list[int], numbers: Sequence[int], request: Request
    ) -> list[Sample]:
        """Returns the samples of one block, whose numbers follow one another."""
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
        require_text(text, "text")
        context = self._context(text, unknown, "text")
        bits, state = [], self.model.start(1)
        with torch.inference_mode():
            for start in range(0, len(context) - 1, STEPS_AT_ONCE):
                after = context[start + 1 : start + 1 + STEPS_AT_ONCE]
                outputs, state = self._read(context[start : start + len(after)], state)
                log_probs = self.model.head(outputs)[0].double()
                index = torch.tensor(after, device=log_probs.device)[:, None]
                bits.append(-log_probs.gather(1, index)[:, 0].cpu().numpy() / math.log(2))
        return by_character(self.pipeline, context[1:], np.concatenate(bits), len(text))

    def plot_surprisal(
        self, text: str, path: str | Path | None = None, *, unknown: Unknown = "refuse"
    ) -> Path:
        """Draws a text, each character coloured by its surprisal; returns the picture's path.

        Raises:
            DataError: The text is empty, or holds characters that the model does not know.
            ConfigError: matplotlib is not installed.
        """
        path = as_path("surprisal.png" if path is None else path, "path")
        surprisal = self.score(text, unknown=unknown)
        plot_surprisal(surprisal.tokens, surprisal.bits, path)
        return path

    def _context(self, text: str | None, unknown: Unknown, name: str = "prompt") -> list[int]:
        """Returns the ids that stand before what is to be generated, the start symbol first."""
        require_name(unknown, "unknown", get_args(Unknown))
        if text is None:
            return [BOS]
        require_text(text, name)
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

    def _spaced(self, context: list[int], prompt: str) -> bool:
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
        numbers: Sequence[int],
        request: Request,
    ) -> Iterator[tuple[int, str, Ending | None]]:
        """Yields number, new text and, at its end, the ending of each sample of a block.

        The prompt is read once; its state is every sample's.
        """
        config = request.sampling
        device, rows = self.model.device, self._rows(len(numbers))
        state = self.model.start(1)
        with torch.inference_mode():
            for first in range(0, len(context) - 1, STEPS_AT_ONCE):
                stretch = context[first : min(first + STEPS_AT_ONCE, len(context) - 1)]
                _, state = self._read(stretch, state)
            state = state.select(torch.zeros(rows, dtype=torch.long, device=device))
        tokens = torch.tensor([context[-config.repetition_window - 1 :]] * rows, device=device)
        dice = Dice(request.seed, range(numbers[0], numbers[0] + rows))
        rules = [never((PAD, BOS, UNK) if request.end else (PAD, BOS, UNK, EOS))]
        shared = self.pipeline, context, request, self._spaced(context, request.prompt or "")
        writers = {row: Writer(*shared) for row in range(len(numbers))}
        for drawn in sample(self.stepper, None, state, tokens, config, dice, rules):
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


def _named(token: str) -> str:
    """Returns a token for a message; of a character, also its code point."""
    return f"{token!r} (U+{ord(token):04X})" if len(token) == 1 else repr(token)
