"""What Python hands in: strange arguments, streams of texts, and copies of what is loaded."""

import copy
import inspect
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import seq2seq
from seq2seq import Forecaster, Generator, Translator
from seq2seq.evaluation.metrics import bleu
from seq2seq.evaluation.mistakes import find_mistakes
from seq2seq.nn.linear import SearchPrecision
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.task import Use, named
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from tests.strange import ARGUMENTS, OWN, in_a_child, public
from tests.tiny import PAIRS, TEXTS, TINY, answers, frame, train_tiny

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda use: pickle.loads(pickle.dumps(use)),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    place = tmp_path_factory.mktemp("tiny")
    return {task: train_tiny(task, place / task) for task in TASKS}


@pytest.fixture(scope="module")
def uses(runs: Mapping[str, Path]) -> Mapping[str, Use]:
    return {task: seq2seq.load(folder, device="cpu") for task, folder in runs.items()}


@pytest.fixture(scope="module")
def child(uses: Mapping[str, Use], runs: Mapping[str, Path]) -> tuple[list[Any], list[str]]:
    """What a process that was spawned says: it gets the uses, and checks no types."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(in_a_child, (list(uses.values()), runs))


def test_there_is_a_tiny_run_of_each_task() -> None:
    assert set(TINY) == set(TASKS)


def test_every_public_argument_has_its_strange_values() -> None:
    found = {
        name: [
            argument
            for argument, parameter in inspect.signature(function).parameters.items()
            if argument not in ("self", *OWN.get(name, ()))
        ]
        for name, function in public()
    }
    assert {name: sorted(named) for name, named in found.items()} == {
        name: sorted(values) for name, values in ARGUMENTS.items()
    }


def test_strange_arguments_are_refused_in_one_line_that_names_them(
    child: tuple[list[Any], list[str]],
) -> None:
    assert child[1] == []


def test_what_is_loaded_goes_to_another_process(
    uses: Mapping[str, Use], child: tuple[list[Any], list[str]]
) -> None:
    assert child[0] == [answers(use) for use in uses.values()]


def ways_to_load() -> list[tuple[str, dict[str, Any]]]:
    """Returns each task with what its runs may be loaded with: all precisions, if it has them."""
    return [
        (task, settings)
        for task in TASKS
        for settings in (
            [{"precision": one} for one in get_args(SearchPrecision)]
            if "precision" in inspect.signature(named(task).load).parameters
            else [{}]
        )
    ]


@pytest.mark.parametrize(("task", "settings"), ways_to_load())
def test_copies_answer_as_the_original_does(
    runs: Mapping[str, Path], task: str, settings: dict[str, Any]
) -> None:
    use = named(task).load(runs[task], checkpoint="best", device="cpu", **settings)
    expected = answers(use)
    for name, copied in COPIES.items():
        assert answers(copied(use)) == expected, name


def test_copies_of_ensembles_and_with_another_search(runs: Mapping[str, Path]) -> None:
    translator = Translator.load(runs["translation"], runs["translation"], device="cpu")
    translator.search = seq2seq.SearchConfig(beam_size=2, max_length=3)
    for copied in COPIES.values():
        again = copied(translator)
        assert answers(again) == answers(translator)
        assert again.search == translator.search


def stream(items: list[Any]) -> Iterator[Any]:
    yield from items


def keys(items: list[Any]) -> Any:
    return dict.fromkeys(items).keys()


@pytest.mark.parametrize("make", [stream, tuple, keys, np.array])
def test_texts_may_come_in_any_way_that_keeps_the_order(
    uses: Mapping[str, Use], make: Callable[[list[str]], Any]
) -> None:
    translator, generator = uses["translation"], uses["language-model"]
    assert isinstance(translator, Translator)
    assert isinstance(generator, Generator)
    listed = [one.text for one in translator(TEXTS)]
    assert [one.text for one in translator(make(TEXTS))] == listed
    pipeline = translator.pipelines.source
    rows = pipeline.encode(TEXTS)
    assert pipeline.encode(make(TEXTS)) == rows
    assert pipeline.restored(make(TEXTS)) == TEXTS
    assert pipeline.decode(stream(rows)) == pipeline.decode([np.array(row) for row in rows])
    config = PipelineConfig(tokenizer="word")
    assert Pipeline.train(config, make(TEXTS)) == Pipeline.train(config, TEXTS)
    assert bleu(make(TEXTS), make(TEXTS)) == bleu(TEXTS, TEXTS)
    assert find_mistakes(make(TEXTS), make(TEXTS), make(TEXTS), "symbol").worst == []
    stopped = [generator(length=9, seed=1, stop=stop) for stop in (make(["a", "e"]), ["a", "e"])]
    assert stopped[0] == stopped[1]


def test_data_may_come_in_any_way_that_keeps_the_order(
    runs: Mapping[str, Path], tmp_path: Path
) -> None:
    config = {**TINY["translation"].config, "folder": tmp_path / "run", "data.cache": tmp_path}
    data: Any = {"train": stream(PAIRS), "valid": np.array(PAIRS[:3])}
    run = seq2seq.train(config, data=data)
    listed, again = (seq2seq.Run.of(folder).history for folder in (runs["translation"], run.folder))
    assert listed[-1]["valid_loss"] == again[-1]["valid_loss"]
    listed_scores = seq2seq.evaluate(run.folder, PAIRS)
    assert seq2seq.evaluate(run.folder, stream(PAIRS)) == listed_scores
    assert seq2seq.evaluate(run.folder, np.array(PAIRS)) == listed_scores


def test_series_may_come_in_one_frame_or_two_and_with_any_index(
    runs: Mapping[str, Path], uses: Mapping[str, Use], tmp_path: Path
) -> None:
    forecaster, whole = uses["forecasting"], frame()
    assert isinstance(forecaster, Forecaster)
    expected = forecaster(whole)
    assert forecaster(whole.set_index(whole.index + 7)[list(whole)[::-1]]).equals(expected)
    config = {**TINY["forecasting"].config, "task": "forecasting", "folder": tmp_path / "run"}
    parts: Any = {"train": whole[:-20], "valid": whole[-20:]}
    run = seq2seq.train(config, data=parts)
    listed, again = (seq2seq.Run.of(folder).history for folder in (runs["forecasting"], run.folder))
    assert listed[-1]["valid_loss"] == again[-1]["valid_loss"]
