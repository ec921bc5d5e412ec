"""What the documents show of the quick start's model is what the model says.

Runs where ``make quickstart`` has been run, as CI does before the tests.
"""

import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import seq2seq
from tests.structure import PACKAGE, ROOT

RUN = ROOT / "runs" / "quickstart"
READMES = (ROOT / "README.md", ROOT / "recipes" / "quickstart" / "README.md")


def shown() -> Iterator[tuple[str, str]]:
    """Yields the name and text of whatever shows what the quick start's model says."""
    for path in READMES:
        for number, block in enumerate(
            re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
        ):
            if ">>>" in block:
                yield f"{path.relative_to(ROOT)} {number}", block
    for path in sorted(PACKAGE.rglob("*.py")):
        for block in re.findall(r'"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL):
            if ">>>" in block and "runs/quickstart" in block:
                yield str(path.relative_to(ROOT)), block


SHOWN = dict(shown())
needs_the_run = pytest.mark.skipif(
    not (RUN / "checkpoints").exists(), reason="no runs/quickstart; `make quickstart` makes it"
)


def test_the_readme_and_the_translator_show_something() -> None:
    assert any(name.startswith("README.md") for name in SHOWN)
    assert "seq2seq/tasks/translation/translator.py" in SHOWN


@needs_the_run
@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_is_what_the_model_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    test = doctest.DocTestParser().get_doctest(SHOWN[name], {}, name, name, 0)
    for example in test.examples:
        example.options.pop(doctest.SKIP, None)  # what is skipped where there is no run
    told: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert result.attempted
    assert not result.failed, "".join(told)


@needs_the_run
@pytest.mark.parametrize("readme", READMES, ids=["README", "recipe"])
def test_the_score_in_the_readmes(readme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors that round otherwise may lose a sentence or two of a hundred."""
    monkeypatch.chdir(ROOT)
    (score,) = seq2seq.evaluate(RUN, settings={"metrics": ["exact"]})
    table = re.search(r"(\d\d\.\d) % exact match|\*\*(\d\d\.\d) %\*\*", readme.read_text("utf-8"))
    assert table is not None
    assert abs(score.value - float(table[1] or table[2])) <= 2.0
    assert score.signature == "n:1000|case:mixed"
