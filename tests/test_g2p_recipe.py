import contextlib
import io
import json
import pickle
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

import seq2seq
from recipes.g2p import run as recipe
from recipes.g2p.data import STEM, split
from seq2seq.errors import Seq2SeqError
from seq2seq.runs.folder import Run
from seq2seq.tasks.task import read_config, read_config_of
from seq2seq.tasks.transduction import TransductionConfig
from seq2seq.tasks.translation.translator import Translator
from seq2seq.training.interruption import Interrupted

SMALL = shlex.split("""
--train.epochs 1 --train.validate_every 0 --train.device cpu --train.precision float32
--train.optimizer.learning_rate 0.01 --model.embedding_size 16 --model.encoder.hidden_size 16
--model.encoder.embedding_size 16 --model.decoder.hidden_size 16 --search.beam_size 1
--search.max_length 8
""")


@pytest.fixture(autouse=True, scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
    torch.set_num_threads(threads)


def words(letters: str, count: int) -> list[str]:
    return [a + b + c for a in letters for b in letters for c in letters][:count]


def lines(letters: str, count: int) -> list[str]:
    return [f"{word}\t{' '.join(word.upper())}" for word in words(letters, count)]


def make_data(folder: Path) -> Path:
    folder.mkdir()
    for language, letters in (("aab", "abcd"), ("xyz", "xyzé")):
        some = lines(letters, 64)
        for part, rows in (("train", some[:50]), ("dev", some[50:60])):
            text = "".join(f"{row}\n" for row in rows)
            (folder / f"{language}_{part}.tsv").write_text(text, encoding="utf-8")
    (folder / "xyz_test.tsv").write_text("\n".join(lines("xyzé", 64)[60:]), encoding="utf-8")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data")


@pytest.fixture(scope="module")
def final(surroundings: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a final report, and what was printed."""
    base = tmp_path_factory.mktemp("final")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert go(make_data(base / "data"), base / "g2p", "--seeds", "1", "2") == 0
    return base / "g2p", printed.getvalue()


def go(data: Path, folder: Path, *options: str) -> int:
    return recipe.main([str(data), *options, "--jobs", "1", "--folder", str(folder), *SMALL])


def failed(capsys: pytest.CaptureFixture[str], code: int) -> str:
    assert code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    return error


def test_final_report(final: tuple[Path, str]) -> None:
    folder, shown = final
    for name in ("aab-1", "aab-2", "xyz-1", "xyz-2"):
        assert f"{folder / name}: " in shown
        assert (folder / name / "config.yaml").exists()
    text = (folder / "results.md").read_text(encoding="utf-8")
    assert shown.endswith(text)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    head = ["language", "words", "WER, seed 1", "PER, seed 1", "WER, mean of 2", "PER, mean of 2"]
    assert rows[0] == [f"| {head[0]}", *head[1:], "WER, ensemble", "PER, ensemble |"]
    assert [row[:2] for row in rows if "-" not in row[0]] == [
        ["| language", "words"], ["| aab", "10"], ["| xyz", "10"], ["| macro average", "20"],
        ["| language", "words"], ["| xyz", "4"], ["| macro average", "4"],
    ]  # fmt: skip


def test_scores_are_of_the_predictions(final: tuple[Path, str]) -> None:
    folder, _ = final
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    scores = results["dev"]["xyz"]["scores"]
    assert list(scores) == ["seed 1", "seed 2", "mean of 2", "ensemble"]
    for rate in ("WER", "PER"):
        single = scores["seed 1"][rate], scores["seed 2"][rate]
        assert scores["mean of 2"][rate] == pytest.approx(sum(single) / 2)
    rows = [
        line.split("\t")
        for line in (folder / "xyz.dev.tsv").read_text(encoding="utf-8").splitlines()
    ]
    assert [f"{word}\t{reference}" for word, reference, *_ in rows] == lines("xyzé", 64)[50:60]
    wrong = sum(reference != found for _, reference, found, _ in rows)
    assert scores["ensemble"]["WER"] == pytest.approx(10.0 * wrong)
    found = Translator.load(folder / "xyz-1", folder / "xyz-2")([row[0] for row in rows])
    assert [one.text for one in found] == [row[2] for row in rows]
    mistakes = (folder / "xyz.mistakes.txt").read_text(encoding="utf-8")
    assert mistakes.startswith("xyz dev\n\nconfusions: ")
    assert (folder / "xyz.test.tsv").exists()


def test_held_tenth_is_seeded_and_not_learned_from(final: tuple[Path, str]) -> None:
    folder, _ = final
    some = lines("abcd", 50)
    written = {
        part: (folder / "data" / f"aab_{part}.tsv").read_text(encoding="utf-8").splitlines()
        for part in ("train", "held")
    }
    assert len(written["held"]) == 5
    assert sorted(written["train"] + written["held"]) == sorted(some)
    assert written["train"] == [line for line in some if line not in written["held"]]
    config = read_config(folder / "aab-2")
    assert isinstance(config, TransductionConfig)
    roles = config.data.training, config.data.corpora("valid"), config.data.corpora("test")
    paths = [one.path for corpora in roles for one in corpora]
    assert paths == ["aab_train.tsv", "aab_held.tsv", "aab_dev.tsv"]
    assert (config.train.seed, config.train.threads) == (2, 1)


def test_finished_trainings_are_not_repeated(final: tuple[Path, str]) -> None:
    folder, _ = final
    files = [*folder.glob("*/metrics.jsonl"), folder / "results.json", folder / "xyz.dev.tsv"]
    before = [file.read_bytes() for file in files]
    assert len(files) == 6
    assert go(folder.parent / "data", folder, "--seeds", "1", "2", "2") == 0
    assert [file.read_bytes() for file in files] == before


def test_holdout_opens_neither_dev_nor_test(data: Path, tmp_path: Path) -> None:
    for path in [*data.glob("*_dev.tsv"), *data.glob("*_test.tsv")]:
        path.write_bytes(b"\xff no file to be read")
    folder = tmp_path / "g2p"
    assert go(data, folder, "--seeds", "1", "--holdout") == 0
    results = json.loads((folder / "held" / "results.json").read_text(encoding="utf-8"))
    assert {name: row["words"] for name, row in results["held"].items()} == {
        "aab": 5, "xyz": 5, "macro average": 10,
    }  # fmt: skip
    assert list(results) == ["held"]
    assert list(results["held"]["aab"]["scores"]) == ["seed 1"]
    assert (folder / "held" / "aab.held.tsv").exists()
    config = read_config_of(TransductionConfig, folder / "aab-1")
    assert config.data.test is None
    assert not (folder / "data" / "aab_dev.tsv").exists()


def test_words_that_begin_alike_stay_together() -> None:
    words = [stem + ending for stem in ("sprach", "lesbar", "ton") for ending in ("", "e", "en")]
    pairs = [(word, "A") for word in words * 4]
    parts = split(pairs)
    assert sorted(parts["train"] + parts["held"]) == sorted(pairs)
    held, learned = ({word[:STEM] for word, _ in parts[part]} for part in ("held", "train"))
    assert held
    assert not held & learned


def test_all_learns_from_the_held_tenth_too(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "g2p"
    assert go(data, folder, "aab", "--seeds", "1", "--all") == 0
    learned = (folder / "data" / "aab-all_train.tsv").read_text(encoding="utf-8").splitlines()
    assert sorted(learned) == sorted(lines("abcd", 50))
    assert (folder / "aab-all-1" / "config.yaml").exists()
    assert (folder / "all" / "results.json").exists()
    assert not (folder / "results.json").exists()


def test_together(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "g2p"
    assert go(data, folder, "--seeds", "1", "2", "--together") == 0
    for name in ("together-1", "together-2"):
        config = read_config(folder / name)
        assert isinstance(config, TransductionConfig)
        assert config.source.tags == ("<aab>", "<xyz>")
    learned = (folder / "data" / "together_train.tsv").read_text(encoding="utf-8").splitlines()
    assert {line.split(" ")[0] for line in learned} == {"<aab>", "<xyz>"}
    assert len(learned) == 90
    reports = folder / "together"
    results = json.loads((reports / "results.json").read_text(encoding="utf-8"))
    assert list(results["dev"]) == ["aab", "xyz", "macro average"]
    assert (reports / "aab.dev.tsv").read_text(encoding="utf-8").startswith("dac\tD A C\t")
    assert not (folder / "results.json").exists()


def test_work_of_several_processes() -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert sorted(recipe.each(pool, abs, [-1, 2, -3])) == [1, 2, 3]


def test_interrupted_training_travels_between_processes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(config: TransductionConfig) -> Run:
        raise Interrupted(15, "step-3")

    monkeypatch.setattr(seq2seq, "train", stop)
    with pytest.raises(Seq2SeqError, match="stopped by SIGTERM after saving step-3") as caught:
        recipe.train(TransductionConfig())
    assert pickle.loads(pickle.dumps(caught.value)).exit_code == 143
    assert go(data, tmp_path / "g2p") == 143
    assert "g2p: stopped by SIGTERM" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed by Linux")
def test_sigterm_ends_the_trainings_too(data: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "recipes.g2p.run",
        str(data),
        "--folder",
        str(tmp_path / "g2p"),
    ]
    endless = [*SMALL, "--train.epochs", "1000000"]
    with subprocess.Popen([*command, *endless], stderr=subprocess.DEVNULL) as started:
        listed = Path(f"/proc/{started.pid}/task/{started.pid}/children")
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "g2p").glob("*/train.log"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        children = [Path("/proc") / one for one in listed.read_text(encoding="ascii").split()]
        trainings = [one for one in children if b"spawn_main" in (one / "cmdline").read_bytes()]
        assert len(trainings) == 2
        started.terminate()
        assert started.wait(60) == 143
    assert not any(one.exists() for one in trainings)


def test_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failed(capsys, go(tmp_path / "no", tmp_path / "g2p"))
    assert message == (
        f"g2p: {tmp_path / 'no'}: no such folder; one with LANG_train.tsv files is needed\n"
    )


def test_folder_without_training_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failed(capsys, go(tmp_path, tmp_path / "g2p"))
    assert message == f"g2p: {tmp_path}: holds no LANG_train.tsv; at least one is needed\n"


def test_language_that_is_not_there(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = failed(capsys, go(data, tmp_path / "g2p", "xyz", "aaa"))
    assert message == (f"g2p: {data}: no aaa_train.tsv; there are aab, xyz; did you mean 'aab'?\n")


def test_nothing_to_report_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "aab_dev.tsv").unlink()
    message = failed(capsys, go(data, tmp_path / "g2p"))
    assert message == (
        f"g2p: {data}: neither aab_dev.tsv nor aab_test.tsv; one is needed, or --holdout\n"
    )


def test_line_without_second_column(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (data / "aab_train.tsv").open("a", encoding="utf-8") as file:
        file.write("alone\n")
    message = failed(capsys, go(data, tmp_path / "g2p"))
    assert f"{data / 'aab_train.tsv'}: line 51: has 1 of the 2 columns needed" in message


def test_too_few_pairs(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "aab_train.tsv"
    path.write_text("".join(f"{line}\n" for line in lines("ab", 8)), encoding="utf-8")
    message = failed(capsys, go(data, tmp_path / "g2p"))
    assert message == f"g2p: {path}: 8 pairs; at least 10 are needed to hold some out\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--holdout", "--all"], "argument --all: not allowed with argument --holdout"),
        (["--train.epochz", "2"], "did you mean 'train.epochs'?"),
        (["--train.epochs=x"], "--train.epochs"),
        (["--jobs", "0"], "--jobs: must be at least 1, got 0"),
        (["--seeds", "-1"], "seed: must be at least 0, got -1"),
        (["--seeds", "x"], "argument --seeds: invalid int value: 'x'"),
    ],
)
def test_wrong_options(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], text: str
) -> None:
    arguments = [str(data), "--folder", str(tmp_path / "g2p"), *options]
    assert text in failed(capsys, recipe.main(arguments))


def test_keys_and_options_may_stand_in_any_order() -> None:
    options = recipe.parse(
        ["--train.epochs", "2", "data", "--jobs", "3", "kor", "--model.encoder.cell=gru", "fre"]
    )
    assert (options.data, options.languages, options.jobs) == (Path("data"), ["kor", "fre"], 3)
    assert options.keys == ["--train.epochs", "2", "--model.encoder.cell=gru"]
