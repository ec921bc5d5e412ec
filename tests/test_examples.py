"""The examples run, are short, and print what they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PRINTED = {
    "forecast": ["noise alone would be 4.0: learned", "the same: True"],
    "own_loop": ["32 of 32 turned around"],
    "pronounce": ["k a ʒ e m i", "name='PER'"],
    "scores": ["exact = 33.33", "BLEU = 100.00"],
    "translate": ["I see one dogs. -> Vejo um cães.", "-> Vejo quatro barcos."],
    "write": ["bits per character: The wall on sat dog the."],
}
"""What stands in the output of each."""


def test_there_is_a_promise_for_each_example() -> None:
    assert [path.stem for path in EXAMPLES] == sorted(PRINTED)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "XDG_CACHE_HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for text in PRINTED[path.stem]:
        assert text in done.stdout
