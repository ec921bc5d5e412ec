"""A signal stops the program wherever it is: once told, with nothing lost and nothing left."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seq2seq.cli.main import main
from seq2seq.training.interruption import SIGNALS, Interrupted, Interruption, Stopped
from seq2seq.training.journal import read_history
from seq2seq.training.state import weights
from tests.training.test_trainer import BASE, Copies, make_trainer, scores

EACH = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Checks that afterwards signals do what they did before."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


@EACH
def test_a_signal_is_noted_and_raised_only_where_that_is_wanted(number: signal.Signals) -> None:
    with Interruption() as interruption:
        with interruption.at_once():
            pass
        os.kill(os.getpid(), number)
        assert interruption.number == number
        with pytest.raises(Stopped, match=number.name), interruption.at_once():
            pytest.fail("goes on")


@EACH
def test_a_signal_is_raised_at_once(number: signal.Signals) -> None:
    went_on = False
    with Interruption() as interruption:
        with pytest.raises(Stopped) as caught, interruption.at_once():  # noqa: PT012
            os.kill(os.getpid(), number)
            went_on = True
        assert caught.value.exit_code == 128 + number
    assert not went_on


@EACH
def test_a_signal_of_which_a_library_makes_another_error(number: signal.Signals) -> None:
    def convert() -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt as error:
            raise ValueError("invalid bounding box") from error

    with (
        Interruption() as interruption,
        pytest.raises(Stopped, match=number.name),
        interruption.at_once(),
    ):
        convert()
    with (
        Interruption() as interruption,
        pytest.raises(ValueError, match="its own"),
        interruption.at_once(),
    ):
        raise ValueError("its own")


@EACH
def test_a_signal_in_a_finaliser_is_not_lost(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    before = sys.unraisablehook
    with Interruption() as interruption:
        with pytest.raises(Stopped, match=number.name), interruption.at_once():  # noqa: PT012
            Dying()
            for _ in range(100):
                time.sleep(0.05)
            pytest.fail("goes on")
        assert interruption.number == number
    assert sys.unraisablehook == before
    assert capsys.readouterr().err == ""


def test_a_second_signal_ends_the_process() -> None:
    script = (
        "import os, signal, sys\n"
        "from seq2seq.training.interruption import Interruption\n"
        "with Interruption():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('goes on', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('wrong')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "goes on\n", "")


def test_a_signal_that_a_library_caught_is_not_forgotten() -> None:
    with Interruption() as outer:
        with pytest.raises(Stopped), outer.at_once(), suppress(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
        with Interruption() as inner:
            assert inner.number == signal.SIGTERM


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption, interruption.at_once():
            os.kill(os.getpid(), signal.SIGHUP)
            assert interruption.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_signals_alone() -> None:
    seen = []

    def work() -> None:
        with Interruption() as interruption, interruption.at_once():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_validation_is_left_at_once_and_made_up_for(tmp_path: Path, average: float) -> None:
    """The run that goes on ends as one that was never stopped."""
    config = replace(BASE, steps=6, validate_every=2, average=average)
    calls = iter(range(9))

    def stopping() -> Mapping[str, float]:
        if next(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("validation goes on")
        return {"loss": 1.0}

    whole = make_trainer(tmp_path / "whole", config)
    stopped = make_trainer(tmp_path / "stopped", config)
    for trainer in (whole, stopped):
        trainer.folder.mkdir()
    whole.fit(Copies(), scores(1.0))
    with pytest.raises(Interrupted, match="stopped by SIGTERM after saving step-0000004; "):
        stopped.fit(Copies(), stopping)
    assert stopped.progress.validated == 2
    resumed = make_trainer(tmp_path / "stopped", config)
    latest = resumed.checkpoints.latest()
    assert latest is not None
    resumed.resume(latest)
    resumed.fit(Copies(), scores(1.0))
    assert resumed.progress.validated == 6
    for one, other in zip(*(weights(t.model).values() for t in (whole, resumed)), strict=True):
        assert torch.equal(one, other)
    rows = [
        [{key: row[key] for key in row.keys() - {"minutes", "tokens_per_second"}} for row in rows]
        for rows in (read_history(tmp_path / name) for name in ("whole", "stopped"))
    ]
    assert rows[0] == rows[1]


@EACH
def test_a_verb_is_left_with_one_line(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("seq2seq.cli.commands.info", lambda _: os.kill(os.getpid(), number))
    assert main(["info", "run"]) == 128 + number
    assert capsys.readouterr().err == f"seq2seq: stopped by {number.name}\n"


@EACH
def test_an_import_is_left_with_one_line(number: signal.Signals) -> None:
    """It is not stopped half-way: compiled modules crash."""
    script = (
        "import os, sys\n"
        "from seq2seq.cli.main import main\n"
        f"place = lambda _: (os.kill(os.getpid(), {int(number)}), print('goes on', flush=True))\n"
        "sys.modules['seq2seq.cli.main'].imported = place\n"
        "main(['info', 'run'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    told = f"seq2seq: stopped by {number.name}\n"
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", told)
