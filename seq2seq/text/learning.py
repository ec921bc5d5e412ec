"""Subwords are learned here: by SentencePiece, from short texts, where it can be interrupted.

SentencePiece heeds no signal. So whatever takes longer than a moment is learned in a process of its
own, while this one waits in Python; neither outlives the other.
"""

import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from random import Random
from threading import Thread
from typing import IO, Any, TypeVar

import sentencepiece

from seq2seq.errors import Seq2SeqError
from seq2seq.lists import chunks

ItemT = TypeVar("ItemT")
log = logging.getLogger("seq2seq")

# SentencePiece logs to standard error from C++; all that matters arrives as exceptions.
SILENT = 3
sentencepiece.set_min_log_level(SILENT)

FIXED_SETTINGS: dict[str, Any] = {
    # Together these keep every character: nothing is rewritten, stripped or unknown.
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "byte_fallback": True,
    # The vocabulary has its own special symbols.
    "bos_id": -1,
    "eos_id": -1,
    "unk_id": 0,
    # Longer sentences would be left out silently.
    "max_sentence_length": 2**30,
    "shuffle_input_sentence": True,
    # The pieces depend on the number of threads, so it must not depend on the machine.
    "num_threads": 4,
    "minloglevel": SILENT,
}
MOST_CHARACTERS = 4096
"""Longer texts are cut. SentencePiece looks at each ending of each stretch that occurs twice, which
takes the square of its length: minutes for a line of dashes, or for a document that is there twice.
"""
STRETCH = 512
"""Characters of what they are cut into."""
CHARACTERS_AT_ONCE = 2**16
"""As many are learned from in a moment, and handed over at once."""
DEAF_TO = ("SIGINT", "SIGTERM", "SIGUSR1")
"""Signals that go to all processes at once; the one that waits decides what comes of them."""


def sample(texts: Iterable[ItemT], size: int) -> Iterable[ItemT]:
    """Returns so many of the texts, drawn at random (Vitter 1985); all where size is 0.

    The same ones in every process; SentencePiece would draw others in each.
    """
    if not size:
        return texts
    left, random = iter(texts), Random(0)
    kept = list(islice(left, size))
    for number, text in enumerate(left, size + 1):
        place = random.randrange(number)
        if place < size:
            kept[place] = text
    return kept


def short(texts: Iterable[str], long: Counter[str]) -> Iterator[str]:
    """Yields texts, the long ones cut; counts these in ``long["texts"]``."""
    for text in texts:
        if len(text) <= MOST_CHARACTERS:
            yield text
        else:
            long["texts"] += 1
            yield from stretches(text, STRETCH)


def stretches(text: str, most: int) -> Iterator[str]:
    """Cuts a text into stretches of at most so many characters; at spaces, where there are any.

    >>> list(stretches("a bc defghi", 4))
    ['a bc', 'defg', 'hi']
    """
    start = 0
    while len(text) - start > most:
        space = text.rfind(" ", start + 1, start + most + 1)
        end = space if space > 0 else start + most
        yield text[start:end]
        start = end + 1 if space > 0 else end  # each stretch begins as if a space stood before it
    yield text[start:]


def learn(texts: Iterable[str], settings: Mapping[str, Any], key: str) -> bytes:
    """Returns a SentencePiece model of texts, from at most ``input_sentence_size`` of them.

    Can be interrupted at any moment. ``key`` is what a warning of long texts begins with.

    Raises:
        RuntimeError: SentencePiece refuses the settings or texts.
        Seq2SeqError: The operating system has ended the learning.
    """
    long: Counter[str] = Counter()
    drawn = sample(short(texts, long), settings["input_sentence_size"])
    blocks = chunks(drawn, size=CHARACTERS_AT_ONCE, measure=lambda text: len(text) + 1)
    head = list(islice(blocks, 2))
    if len(head) < 2 or not sys.executable:
        # A list, since SentencePiece hides exceptions of an iterator.
        model = _fit(list(chain.from_iterable(chain(head, blocks))), settings)
    else:
        model = _fit_elsewhere(chain(head, blocks), settings)
    if long:
        log.warning(
            "%s: subwords are learned from %s texts of more than %s characters in stretches of %d",
            *(key, f"{long['texts']:,}", f"{MOST_CHARACTERS:,}", STRETCH),
        )
    return model


def _fit(texts: Iterable[str], settings: Mapping[str, Any]) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, **FIXED_SETTINGS, **settings
    )
    return model.getvalue()


def _fit_elsewhere(blocks: Iterable[list[str]], settings: Mapping[str, Any]) -> bytes:
    """Does the same in another process, which :func:`_serve` describes."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        start_new_session=True,  # so that Ctrl-C reaches only this process
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with suppress(BrokenPipeError):  # it has ended; what it leaves says why
            for part in chain([settings], blocks, [[]]):
                process.stdin.write(json.dumps(part).encode() + b"\n")
            process.stdin.flush()
        answer = process.stdout.read()
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
    if code < 0:
        raise Seq2SeqError(
            f"the process that learned subwords was ended by signal {-code}, perhaps for want of "
            "memory; a lower sample_size takes less"
        )
    if code:
        raise RuntimeError(answer.decode())
    return answer


def _serve(source: IO[bytes], sink: IO[bytes]) -> int:
    """Reads settings, then lists of texts up to an empty one, and writes a model or an error.

    Ends with the process that waits for it: as soon as that closes ``source``.
    """
    for name in DEAF_TO:
        with suppress(AttributeError):  # Windows lacks some
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    settings = json.loads(source.readline())

    def texts() -> Iterator[str]:
        while block := json.loads(source.readline() or _end()):
            yield from block
        Thread(target=lambda: source.read(1) or _end(), daemon=True).start()

    try:
        answer, code = _fit(texts(), settings), 0
    except Exception as error:
        answer, code = str(error).encode(), 1
    sink.write(answer)
    sink.flush()
    return code


def _end() -> Any:  # noqa: ANN401
    """Ends this process at once, whatever its threads are at."""
    os._exit(1)


if __name__ == "__main__":
    os._exit(_serve(sys.stdin.buffer, sys.stdout.buffer))
