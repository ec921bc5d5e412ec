"""Strange arguments for every public function, given one by one; nothing checks types before.

The tests let a process of its own do this: where they run themselves, beartype refuses what does
not fit an annotation, which users of the package do not have.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import seq2seq
from seq2seq import Forecaster, Generator, Seq2SeqError, Translator
from seq2seq.evaluation.mistakes import find_mistakes
from seq2seq.measures import METRICS
from seq2seq.tasks.forecasting.forecasts import Request
from seq2seq.tasks.task import ROLES
from tests.tiny import AHEAD, TINY, answers, frame


class Table:
    """Looks like a table of pandas."""

    columns = ("source", "target")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


NAN = math.nan
# By kind of argument: what is none of it.
TEXT = (None, 3, b"a", NAN, ["a"])
LIST = (None, 3, NAN, b"a", {"a"}, frozenset("a"), {"a": "b"}, Table(), np.array("a"))
LISTS = (*LIST, ["a", None], ["a", b"b"], ["a", NAN], [["a"]], np.array([["a"]]), [np.nan], [1])
ROWS = (*LIST, [("a", "b"), "ab"], [("a", "b", "c")], [("a", None)], [{"a": 1, "b": 2}], [None])
PATH = (None, 3.5, b"a", ["a"], "a\0b", NAN, True)
WHOLE = (0, -1, True, 1.5, "2", NAN, [2], np.float32(2))
NUMBER = ("1", True, NAN, math.inf, [1], -1)
NAME = ("zzz", "", 3.5, True, ["cpu"], b"cpu", NAN)
FLAG: tuple[object, ...] = (None, "no", 0, 1.5, [])
WEIGHTS: tuple[object, ...] = (
    [1.0, 1.0],
    [],
    [-1.0],
    [0.0],
    ["a"],
    [None],
    [NAN],
    [True],
    1.0,
    "1",
    {1.0},
)
SECTION = ({"beam_size": 2}, "beam", 3, True)
WORDS = (None, 3, "--train.steps 3", b"a", [1], [None], {"a", "b"})
TABLE = (3, NAN, b"a", {"a"}, {"a": "b"}, ["a"], Table(), np.array("a"), "a\0b", True)
MAPPING: tuple[object, ...] = ("a", 3, [("train", [])], b"a", NAN)
OPTIONAL = "What may be None: it then means the usual value."


def given(values: Sequence[object], *, none: bool = False) -> tuple[object, ...]:
    """Returns strange values; ``none`` says that None is a value that is accepted."""
    return tuple(value for value in values if not (none and value is None))


OWN: dict[str, Sequence[str]] = {
    "Translator": ("models", "pipelines", "replay"),
    "Generator": ("model", "pipeline", "sampling", "replay"),
    "Forecaster": ("trained", "learned", "config", "run", "series"),
}
"""Arguments of constructors that only the package itself calls."""
_SAMPLING: dict[str, Sequence[object]] = {
    "temperature": NUMBER,
    "top_k": WHOLE[1:],
    "top_p": NUMBER,
    "min_p": NUMBER,
    "typical": NUMBER,
    "repetition_penalty": NUMBER,
    "repetition_window": WHOLE,
}
_REQUEST: dict[str, Sequence[object]] = {
    "prompt": given((*TEXT, ""), none=True),
    "length": WHOLE,
    "stop": (*LISTS, ""),
    "end": FLAG,
    "seed": WHOLE[1:],
    "unknown": (*NAME, None),
    **_SAMPLING,
}
_ASKED: dict[str, Sequence[object]] = {
    "table": (*TABLE, None),
    "horizon": (*given(WHOLE, none=True), AHEAD - 1),
    "levels": (*LIST, "80", [0], [100], [-1], ["80"], [True], [None], [NAN], [[80]], [99.5]),
    "samples": (*WHOLE[1:], None),
    "seed": (*WHOLE[1:], None),
}
FEW = ("zzz", 3.5, None)
"""Names that are none, where each costs the reading of a run."""
_LOADED: dict[str, Sequence[object]] = {"run": PATH, "checkpoint": FEW, "device": (*FEW, "tpu")}
CONFIG = (None, 3, b"a", ["a"], NAN, True)
ARGUMENTS: dict[str, dict[str, Sequence[object]]] = {
    "train": {
        "config": CONFIG,
        "overrides": WORDS,
        "data": MAPPING,
        "train_pairs": given(ROWS, none=True),
        "valid_pairs": given(ROWS, none=True),
        "train_texts": given(ROWS, none=True),
        "valid_texts": given(ROWS, none=True),
        "dry_run": FLAG,
    },
    "load": _LOADED,
    "evaluate": {**_LOADED, "data": (3, {"a"}, [("a", None)]), "settings": MAPPING[:3]},
    "Run.of": {"folder": PATH},
    "Translator": {
        "search": (),
        "language": (),
        "precision": (*NAME, "int4", None),
        "weights": WEIGHTS,
        "mean": (*NAME, None),
    },
    "Translator.load": {
        **_LOADED,
        "others": PATH[:2],
        "precision": FEW,
        "weights": WEIGHTS,
        "mean": (*FEW, "zzz"),
    },
    "Translator.__call__": {
        "texts": LISTS,
        "beam_size": WHOLE,
        "n_best": (*WHOLE, None),
        "batch_size": (*WHOLE, None),
        "search": SECTION,
        "split": (*NAME, "sentence"),
        "language": NAME[2:],
        "first": (*WHOLE[1:], None),
        "wishes": ("a dog", 3, {"terms": []}, ["a"]),
    },
    "Wishes": {
        "prefixes": (),
        "terms": (),
        "glossary": ("terms.tsv", 3, {"a": ("b",)}),
        "dictionary": (3, "a", ["a"]),
        "placeholders": LISTS[1:],
    },
    "Wishes.asked": {"texts": (), "numbers": (), "target": ()},
    "Wishes.copying": {"search": (), "symbols": ()},
    "Glossary": {"terms": (), "ignore_case": FLAG},
    "Glossary.read": {"path": PATH, "ignore_case": FLAG},
    "Glossary.found": {"text": ()},
    "Translator.score": {"pairs": ROWS, "batch_size": (*WHOLE, None)},
    "PairScore.normalized": {"penalty": NUMBER},
    "PairScore.record": {},
    "Translation.alignment": {"unit": (*NAME, None)},
    "Translation.pharaoh": {"unit": (*NAME, None)},
    "Translation.record": {},
    "Translation.plot_attention": {"path": given(PATH, none=True)},
    "Forecaster": {},
    "Forecaster.load": _LOADED,
    "Forecaster.__call__": _ASKED,
    "Forecaster.forecasts": {"table": (*TABLE, None), "request": (None, 3, AHEAD, {"horizon": 4})},
    "Forecaster.update": {"rows": (*TABLE, None)},
    "Forecaster.plot": {**_ASKED, "path": given(PATH, none=True)},
    "Generator": {"precision": (*NAME, "int4", None)},
    "Generator.load": {**_LOADED, "precision": FEW},
    "Generator.__call__": _REQUEST,
    "Generator.stream": _REQUEST,
    "Generator.samples": {**_REQUEST, "count": (*WHOLE, None)},
    "Generator.score": {"text": (*TEXT, ""), "unknown": (*NAME, None)},
    "Generator.plot_surprisal": {
        "text": (*TEXT, ""),
        "path": given(PATH, none=True),
        "unknown": (*NAME, None),
    },
    "SamplingConfig": _SAMPLING,
    "SearchConfig": {
        "strategy": (*NAME, None),
        "beam_size": WHOLE,
        "length_penalty": NUMBER,
        "coverage_penalty": NUMBER,
        "groups": WHOLE,
        "diversity": NUMBER,
        "terms": (*NAME, None),
        "term_bonus": NUMBER,
        "min_length": WHOLE[1:],
        "max_length": WHOLE[1:],
        "no_repeat_ngram": WHOLE[1:],
        "seed": WHOLE[1:],
        "mbr": (*NAME, None),
        "candidates": (*WHOLE, 1, 1001),
        "replace_unknown": FLAG,
        "sampling": ({"top_k": 2}, "greedy", 3, None),
    },
    "SearchConfig.limits": {"source": ()},
    "SearchConfig.wanted": {"n_best": ()},
}
"""Of each public function, by argument, what must be refused in one line that names it."""
RESULTS = ("PairScore", "Run", "Sample", "Surprisal", "Translation")
"""What functions return; nobody makes one."""
CALLED = {"others": "run", "train_pairs": "train pairs", "train_texts": "train pairs"}
CALLED |= {"valid_pairs": "valid pairs", "valid_texts": "valid pairs"}
"""What arguments are called in messages, where not by their names."""


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yields the functions, constructors and methods that are public, by name."""
    for name in seq2seq.__all__:
        value = getattr(seq2seq, name)
        if not inspect.isclass(value):
            yield name, value
        elif not issubclass(value, Exception):
            if name not in RESULTS:
                yield name, value
            for method in vars(value):
                if method == "__call__" or method[0] != "_":
                    found = getattr(value, method)
                    if inspect.isroutine(found):
                        yield f"{name}.{method}", found


def refused(call: Callable[[], object], named: str) -> str:
    """Returns what is wrong with the refusal of a call; nothing where it is one of ours."""
    try:
        made = call()
    except Seq2SeqError as error:
        line = str(error)
        wrong = "\n" in line or named not in line or len(line) > 400
        return line if wrong else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"accepted: {made!r}"


def calls(runs: Mapping[str, Path]) -> dict[str, Callable[..., Any]]:
    """Returns how each public function is called when all other arguments are sane."""
    pairs, text, series = (runs[task] for task in ("translation", "language-model", "forecasting"))
    translator, generator = Translator.load(pairs, device="cpu"), Generator.load(text, device="cpu")
    forecaster = Forecaster.load(series, device="cpu")
    (translation,) = translator("satz")
    usual: dict[str, dict[str, Any]] = {
        "train": {"config": {"folder": "never"}, "data": {"train": [("a", "b")]}},
        "load": {"run": pairs},
        "evaluate": {"run": pairs, "data": [("a", "b")]},
        "Translator.load": {"run": pairs, "device": "cpu"},
        "Translator.__call__": {"texts": ["satz"]},
        "Glossary": {"terms": {"a": ("b",)}},
        "Glossary.read": {"path": "never.tsv"},
        "Translator.score": {"pairs": [("satz", "sentence")]},
        "Forecaster.load": {"run": series, "device": "cpu"},
        "Forecaster.__call__": {"table": frame()},
        "Forecaster.forecasts": {"table": frame(), "request": Request(AHEAD)},
        "Forecaster.update": {"rows": frame()},
        "Forecaster.plot": {"table": frame(), "path": "never.png"},
        "Generator.load": {"run": text, "device": "cpu"},
        "Generator.score": {"text": "satz"},
        "Generator.plot_surprisal": {"text": "satz"},
        "Translator": {
            "models": translator.models,
            "pipelines": translator.pipelines,
            "search": translator.search,
        },
        "Generator": {
            "model": generator.model,
            "pipeline": generator.pipeline,
            "sampling": generator.sampling,
        },
        "Forecaster": {
            "trained": forecaster.trained,
            "learned": forecaster.learned,
            "config": forecaster.config,
        },
    }
    made = {
        "Translator": translator,
        "Generator": generator,
        "Forecaster": forecaster,
        "Translation": translation,
        "PairScore": translator.score([("satz", "sentence")])[0],
    }

    def caller(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        owner, _, method = name.partition(".")
        bound = owner in made and method and method != "load"
        target = getattr(made[owner], method) if bound else function

        def call(**strange: object) -> object:
            arguments = {**usual.get(name, {}), **strange}
            others = [arguments.pop("others")] if "others" in arguments else []
            first = [arguments.pop("run")] if others else []
            made_now = target(*first, *others, **arguments)
            return list(made_now) if inspect.isgenerator(made_now) else made_now

        return call

    return {name: caller(name, function) for name, function in public()}


def accepted(runs: Mapping[str, Path]) -> list[str]:
    """Gives every strange argument, and returns what was not refused as it should be."""
    failures = []
    for name, call in calls(runs).items():
        for argument, values in ARGUMENTS[name].items():
            for value in values:
                what = refused(lambda: call(**{argument: value}), CALLED.get(argument, argument))  # noqa: B023
                if what:
                    failures.append(f"{name}({argument}={value!r}): {what}")
    return failures + _below(runs)


def _below(runs: Mapping[str, Path]) -> list[str]:
    """Does the same with what lies below the public names and takes texts, ids, or series."""
    pipeline = Translator.load(runs["translation"], device="cpu").pipelines.source
    ids = (None, 3, "12", [3], [["a"]], [[-1]], [[len(pipeline)]], [[1.5]], [None], b"a", [[None]])
    takers: dict[str, tuple[Callable[[Any], object], Sequence[object], str]] = {
        "encode": (pipeline.encode, LISTS, "texts"),
        "sample": (lambda value: pipeline.sample(value, 1), LISTS, "texts"),
        "restored": (pipeline.restored, LISTS, "texts"),
        "train": (lambda value: pipeline.train(None, value), given(LISTS[: len(LIST)]), "texts"),  # type: ignore[arg-type]
        "decode": (pipeline.decode, ids, "rows"),
        "unit": (lambda value: find_mistakes(["a"], ["a"], ["a"], value), NAME, "unit"),
        "sources": (lambda value: find_mistakes(value, ["a"], ["a"], "symbol"), LISTS, "sources"),
    }
    series, config = runs["forecasting"], {**TINY["forecasting"].config, "task": "forecasting"}
    takers["test series"] = lambda value: seq2seq.evaluate(series, value), TABLE, "data"
    for role in ROLES:
        takers[f"{role} series"] = partial(_trained, config, role), (*TABLE, None), f"{role} data"
    one_each = (*LIST, *([value] for value in LIST if not isinstance(value, Iterable)))
    for metric in METRICS:
        takers[metric] = partial(_scored, metric, ["a"]), one_each, "references"
        takers[f"{metric} of"] = partial(_scored, metric, references=["a"]), LISTS, "hypotheses"
    return [
        f"{name}({value!r}): {what}"
        for name, (call, values, named) in takers.items()
        for value in values
        if (what := refused(lambda: call(value), named))  # noqa: B023
    ]


def _scored(metric: str, hypotheses: Any, references: Any) -> object:
    return METRICS[metric](hypotheses, references)


def _trained(config: Mapping[str, Any], role: str, data: Any) -> object:
    return seq2seq.train({**config, "folder": "never"}, data={role: data})


def in_a_child(uses: Sequence[Any], runs: Mapping[str, Path]) -> tuple[list[Any], list[str]]:
    """Returns the answers of uses that came from another process, and what was accepted here."""
    warnings.simplefilter("ignore")  # aliases are tried, too
    return [answers(use) for use in uses], accepted(runs)
