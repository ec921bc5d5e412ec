"""What cuts texts into the words that BLEU counts: sacreBLEU's tokenizers, chosen or named."""

import logging
import os
from collections.abc import Iterable

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
from sacrebleu.utils import SACREBLEU_DIR

from seq2seq.errors import ConfigError, require_name
from seq2seq.evaluation.scripts import HAN, HANGUL, KANA, script_of
from seq2seq.measures import AUTO, BLEU_TOKENIZERS

USUAL = BLEU.TOKENIZER_DEFAULT
CHARACTERS = "char"
BY_SCRIPT = {HAN: "zh", KANA: "ja-mecab", HANGUL: "ko-mecab"}
"""Tokenizers made for the language of a script; for other scripts without spaces: characters."""
EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}
"""The extras of this package that bring what a tokenizer needs."""
log = logging.getLogger("seq2seq")


def pick_tokenizer(name: str, references: Iterable[str], key: str = "bleu_tokenizer") -> str:
    """Returns the tokenizer that ``name`` means; :data:`AUTO` is the one that suits references.

    The choice depends on nothing but the references and on what is installed. It is told, unless
    it is sacreBLEU's usual one. ``key`` is what messages call the setting.

    Raises:
        ConfigError: There is no such tokenizer, or it cannot be used here.
    """
    if name == AUTO:
        return suited_to(script_of(references))
    require_name(name, key, (AUTO, *BLEU_TOKENIZERS))
    if lacks := _lacks(name):
        raise ConfigError(f"{key}: {name} {lacks}; or choose another, such as {CHARACTERS}")
    return name


def suited_to(script: str | None) -> str:
    """Returns the tokenizer that suits the script of references, and says so."""
    if script is None:
        return USUAL
    best = name = BY_SCRIPT.get(script, CHARACTERS)
    lacks = _lacks(best)
    if lacks:
        name = CHARACTERS
    log.info(
        "BLEU: the references are in %s script, so sacreBLEU's tokenizer is %s%s; another can be "
        "named: --bleu-tokenizer, or validation.bleu_tokenizer in a configuration",
        *(script, name, f" ({best} {lacks})" if lacks else ""),
    )
    return name


def _lacks(name: str) -> str:
    """Returns what is missing to use a tokenizer, and how to get it; or nothing."""
    if name in SPM_MODELS:
        url = SPM_MODELS[name]["url"]
        path = os.path.join(SACREBLEU_DIR, "models", os.path.basename(url))
        if not os.path.exists(path):  # sacreBLEU would wait for a network, perhaps in vain
            return f"needs a model that is not on this machine; download {url} to {path}"
    try:
        BLEU(tokenize=name)
    except (Exception, SystemExit) as error:  # whatever the packages behind it make of it
        if name in EXTRAS and isinstance(error, ImportError | RuntimeError):
            return f"needs `pip install 'seq2seq-toolkit[{EXTRAS[name]}]'`"
        first = next(iter(str(error).split("\n")), "")
        return f"cannot be used ({first or type(error).__name__})"
    return ""
