"""Runs that write from the end to the beginning: nothing but the order of their tokens differs."""

from pathlib import Path
from typing import Any

import pytest
import torch

import seq2seq
from seq2seq import Run, Translator
from tests.tiny import PAIRS, TEXTS, TINY


def trained(folder: Path, pairs: list[tuple[str, str]], **more: object) -> Run:
    # Edits between two texts are as many when both are turned round.
    settings: dict[str, Any] = {**TINY["translation"].config, "train.metric": "cer"}
    settings |= {"validation.sentences": 4, "validation.metrics": ["cer"], **more}
    settings |= {"folder": str(folder), "data.cache": str(folder.parent / "cache")}
    return seq2seq.train(settings, data={"train": pairs, "valid": pairs})


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_reversed_run_is_a_run_on_texts_turned_round(side: str, tmp_path: Path) -> None:
    def turn(source: str, target: str) -> tuple[str, str]:
        return (source[::-1], target) if side == "source" else (source, target[::-1])

    there = trained(tmp_path / "plain", [turn(*pair) for pair in PAIRS])
    here = trained(tmp_path / "turned", PAIRS, **{f"{side}.reversed": True})
    assert here.scores == there.scores != ""
    plain, turned = (Translator.load(run.folder, device="cpu") for run in (there, here))
    weights, others = (one.models[0].state_dict() for one in (plain, turned))
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    texts = [turn(text, "")[0] for text in TEXTS]
    for one, other in zip(plain(texts, n_best=3), turned(TEXTS, n_best=3), strict=True):
        assert [turn("", each.text)[1] for each in one.alternatives] == [
            each.text for each in other.alternatives
        ]
        assert [each.score for each in one.alternatives] == [
            each.score for each in other.alternatives
        ]
        assert one.source_tokens == other.source_tokens
        assert one.target_tokens == other.target_tokens
        assert one.alignment() == other.alignment()
    expected = plain.score([turn(*pair) for pair in PAIRS])
    assert [score.log_probabilities for score in turned.score(PAIRS)] == [
        score.log_probabilities for score in expected
    ]
    # What people read is turned back.
    samples = (here.folder / "samples" / "latest.txt").read_text(encoding="utf-8")
    assert f"source:    {PAIRS[0][0]}\nreference: {PAIRS[0][1]}\nmodel: " in samples
