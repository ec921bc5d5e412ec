"""BLEU's tokenizers: all that sacreBLEU has, chosen by the script of the references."""

import logging
import re
import unicodedata
from itertools import chain
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab, tokenizer_spm
from sentencepiece import SentencePieceTrainer

from seq2seq.errors import ConfigError
from seq2seq.evaluation import bleu_tokenizer, metrics
from seq2seq.evaluation.bleu_tokenizer import BY_SCRIPT, EXTRAS, pick_tokenizer
from seq2seq.evaluation.metrics import bleu, ter
from seq2seq.evaluation.scripts import HANGUL, SCRIPTS, script_of
from seq2seq.measures import BLEU_TOKENIZERS

WRITTEN = {
    "Han": ["我今天早上在市场买了三个苹果。", "他们昨天晚上没有来参加 NBA 会议。"],
    "kana": ["私は昨日市場でりんごを買いました。", "東京大学の学生です。", "ｶﾀｶﾅ"],
    "Hangul": ["나는 어제 시장에서 사과를 샀다.", "그는 학생입니다."],
    "Thai": ["กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "ฉันชอบกินข้าว"],
    "Lao": ["ຂ້ອຍມັກກິນເຂົ້າ", "ວຽງຈັນເປັນເມືອງຫຼວງ"],
    "Khmer": ["ខ្ញុំចូលចិត្តញ៉ាំបាយ", "ភ្នំពេញជារដ្ឋធានី"],
    "Myanmar": ["ကျွန်တော်ထမင်းစားရတာကြိုက်တယ်", "ရန်ကုန်မြို့"],
    "Tibetan": ["ང་ཚོ་བོད་པ་ཡིན།", "བོད་ཀྱི་རྒྱལ་ས་ནི་ལྷ་ས་ཡིན།"],
}
SPACED = [
    "The capital (北京) is a city of twenty million.",
    "Москва — столица России.",
    "العربية لغة جميلة",
    "नमस्ते दुनिया",
    "Tôi thích ăn cơm.",
    "",
    "12 + 3 = 15!",
]


@pytest.fixture
def notices(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "seq2seq")
    return caplog


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the packages for Japanese and Korean are not installed."""
    for module in (tokenizer_ja_mecab, tokenizer_ko_mecab):
        monkeypatch.setattr(module, "MeCab", None)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the user's, and no network to fill it from."""

    def download(*places: str) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(tokenizer_spm, "SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr(bleu_tokenizer, "SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr(tokenizer_spm, "download_file", download)
    return tmp_path / "models"


def test_the_names_are_those_of_sacrebleu() -> None:
    assert list(BLEU_TOKENIZERS) == list(BLEU.TOKENIZERS)
    assert len(BLEU_TOKENIZERS) == len(BLEU.TOKENIZERS)
    assert "13a" in BLEU_TOKENIZERS
    assert {*BY_SCRIPT.values(), *EXTRAS} <= set(BLEU_TOKENIZERS)


@pytest.mark.filterwarnings("ignore:.*warn.* method is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", BLEU.TOKENIZERS)
def test_every_tokenizer_scores_as_in_sacrebleu(name: str, models: Path) -> None:
    if name in tokenizer_spm.SPM_MODELS:
        url = tokenizer_spm.SPM_MODELS[name]["url"]
        models.mkdir()
        SentencePieceTrainer.train(
            sentence_iterator=iter(chain.from_iterable(WRITTEN.values())),
            model_prefix=str(models / "own"),
            vocab_size=300,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        (models / "own.model").rename(models / url.rpartition("/")[2])
    elif name in EXTRAS and bleu_tokenizer._lacks(name):
        pytest.skip(f"the extra {EXTRAS[name]} is not installed")
    references = [*SPACED[:5], *WRITTEN["kana"], *WRITTEN["Hangul"], *WRITTEN["Thai"]]
    found = [text[: len(text) * 4 // 5] for text in references]
    expected = sacrebleu.corpus_bleu(found, [references], lowercase=True, tokenize=name)
    score = bleu(found, references, lowercase=True, tokenize=name)
    assert score.value == expected.score > 0
    signed = BLEU(tokenize=name).tokenizer.signature()
    assert f"|case:lc|eff:no|tok:{signed}|" in score.signature


@pytest.mark.parametrize("name", tokenizer_spm.SPM_MODELS)
def test_a_model_that_is_not_here_is_not_waited_for(name: str, models: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        pick_tokenizer(name, ["a"])
    url = tokenizer_spm.SPM_MODELS[name]["url"]
    assert str(caught.value) == (
        f"bleu_tokenizer: {name} needs a model that is not on this machine; download {url} to "
        f"{models}/{url.rpartition('/')[2]}; or choose another, such as char"
    )


@pytest.mark.filterwarnings("ignore:.*warn.* method is deprecated:DeprecationWarning")
@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_damaged_model_costs_one_line(models: Path, content: bytes) -> None:
    models.mkdir()
    url = tokenizer_spm.SPM_MODELS["flores200"]["url"]
    (models / url.rpartition("/")[2]).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^x: flores200 cannot be used \(.+\); or choose") as no:
        pick_tokenizer("flores200", ["a"], "x")
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("name", EXTRAS)
def test_a_tokenizer_names_the_extra_that_it_needs(name: str, no_packages: None) -> None:
    with pytest.raises(ConfigError) as caught:
        bleu("a", "a", tokenize=name)
    assert str(caught.value) == (
        f"bleu_tokenizer: {name} needs `pip install 'seq2seq-toolkit[{EXTRAS[name]}]'`; or choose "
        "another, such as char"
    )
    written = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(rf"^{EXTRAS[name]} = \[\"sacrebleu\[{EXTRAS[name]}\]", written, re.MULTILINE)


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^bleu_tokenizer: must be one of auto, none, .*'13b'; did"
    ):
        bleu("a", "a", tokenize="13b")


@pytest.mark.parametrize("script", WRITTEN)
def test_the_script_is_that_of_most_letters(script: str) -> None:
    assert script_of(WRITTEN[script]) == script
    assert script_of([unicodedata.normalize("NFD", text) for text in WRITTEN[script]]) == script
    assert script_of([*WRITTEN[script], "OpenAI", "12,345.6"]) == script
    assert script_of([*SPACED * 2, WRITTEN[script][1]]) is None


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_of_the_table_has_letters(script: str) -> None:
    starts = SCRIPTS[script]
    letters = [
        letter
        for letter in map(chr, range(0, 0x20000, 7))
        if unicodedata.name(letter, "").startswith(starts) and letter.isalpha()
    ]
    if letters:  # a script may be younger than this Python
        assert script_of(letters) == script


def test_texts_with_spaces_have_none_of_the_scripts() -> None:
    for text in SPACED:
        assert script_of([text]) is None
    assert script_of([]) is None


@given(st.lists(st.sampled_from(list(chain(SPACED, *WRITTEN.values())))))
def test_the_choice_does_not_depend_on_the_order(texts: list[str]) -> None:
    assert script_of(texts) == script_of(texts[::-1]) == script_of(["".join(texts)])


def test_usual_texts_are_scored_as_ever_and_nothing_is_said(
    notices: pytest.LogCaptureFixture,
) -> None:
    assert bleu(SPACED, SPACED) == bleu(SPACED, SPACED, tokenize="13a")
    assert notices.messages == []


@pytest.mark.parametrize("script", WRITTEN)
def test_a_text_against_itself_is_faultless_in_every_script(
    script: str, notices: pytest.LogCaptureFixture, no_packages: None
) -> None:
    texts = WRITTEN[script]
    found = bleu(texts, texts)
    assert found.value == pytest.approx(100)
    name = "zh" if script == "Han" else "char"
    assert f"|tok:{name}|" in found.signature
    best = BY_SCRIPT.get(script, "char")
    extra = EXTRAS.get(best)
    why = f" ({best} needs `pip install 'seq2seq-toolkit[{extra}]'`)" if extra else ""
    assert notices.messages == [
        f"BLEU: the references are in {script} script, so sacreBLEU's tokenizer is {name}{why}; "
        "another can be named: --bleu-tokenizer, or validation.bleu_tokenizer in a configuration"
    ]
    if script != HANGUL:
        assert bleu(texts, texts, tokenize="13a").value < 100


@pytest.mark.parametrize("script", ["kana", "Hangul"])
def test_what_is_made_for_a_language_is_taken_where_it_is_installed(
    script: str, notices: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bleu_tokenizer, "_lacks", lambda name: "")
    assert pick_tokenizer("auto", WRITTEN[script]) == BY_SCRIPT[script]
    assert f"tokenizer is {BY_SCRIPT[script]};" in notices.text


def test_ter_takes_han_characters_for_words(notices: pytest.LogCaptureFixture) -> None:
    found = [text.replace("果", "子") for text in WRITTEN["Han"]]
    expected = sacrebleu.corpus_ter(
        found, [WRITTEN["Han"]], normalized=True, asian_support=True, case_sensitive=True
    )
    score = ter(found, WRITTEN["Han"])
    assert score.value == expected.score < 10
    assert "|norm:yes|punct:yes|asian:yes|" in score.signature
    assert "|norm:no|punct:yes|asian:no|" in ter(SPACED, SPACED).signature
    assert notices.messages == []


def test_ter_says_where_it_sees_no_words(notices: pytest.LogCaptureFixture) -> None:
    metrics._tell_of_long_words.cache_clear()
    for _ in range(2):
        ter(WRITTEN["Thai"], WRITTEN["Thai"])
    ter(WRITTEN[HANGUL], WRITTEN[HANGUL])
    assert notices.messages == [
        "TER counts words between spaces, and Thai script has hardly any spaces; chrF and CER "
        "count characters"
    ]
