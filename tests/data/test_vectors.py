"""Pretrained embeddings in every form that they come in, and what is wrong with files."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from seq2seq.data.vectors import Found, read_vectors
from seq2seq.errors import ConfigError, DataError

VECTORS = {
    "the": [0.1, -2.0, 3e-05],
    "Dog": [1.0, 2.0, 3.0],
    "dog": [4.0, 5.0, 6.0],
    ". . .": [0.5, 0.25, 0.125],
    "straße": [7.0, 8.0, 9.0],
    ",": [1.5, 1.25, 1.125],
    "nan": [2.0, 3.0, 4.0],
}
TOKENS = ["the", "The", "Dog", "DOG", ". . .", "Straße", "￭,", "cat", "NaN"]
KNOWN = {"the": "the", "The": "the", "Dog": "Dog", "DOG": "dog", ". . .": ". . .",
         "Straße": "straße", "￭,": ",", "NaN": "nan"}  # fmt: skip


def glove(rows: Mapping[str, list[float]], end: str = "\n") -> bytes:
    return "".join(
        f"{token} {' '.join(map(repr, row))}{end}" for token, row in rows.items()
    ).encode()


def fasttext(rows: Mapping[str, list[float]]) -> bytes:
    return f"{len(rows)} 3\n".encode() + glove(rows, " \n")


def word2vec(rows: Mapping[str, list[float]], end: bytes = b"\n") -> bytes:
    parts = (
        token.encode() + b" " + np.array(row, "<f4").tobytes() + end
        for token, row in rows.items()
        if " " not in token  # there it would end the token
    )
    return f"{len(rows) - 1} 3\n".encode() + b"".join(parts)


FORMS: Mapping[str, Callable[[Mapping[str, list[float]]], bytes]] = {
    "glove": glove,
    "tabs": lambda rows: glove({k: v for k, v in rows.items() if " " not in k}).replace(
        b" ", b"\t"
    ),
    "windows": lambda rows: glove(rows, "\r\n"),
    "fasttext": fasttext,
    "word2vec": word2vec,
    "word2vec without line ends": lambda rows: word2vec(rows, b""),
}


def read(path: Path, width: int = 3) -> Found:
    return read_vectors(path, TOKENS, width, "source.vectors", "model.embedding_size")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_forms(form: str, packed: bool, tmp_path: Path) -> None:
    content = FORMS[form](VECTORS)
    path = tmp_path / ("v.gz" if packed else "v")
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read(path)
    known = {
        token: row
        for token, row in KNOWN.items()
        if " " not in token or form in ("glove", "windows", "fasttext")
    }
    assert found.rows.keys() == known.keys()
    for token, spelt in known.items():
        assert found.rows[token].dtype == np.float32
        assert found.rows[token].tolist() == np.array(VECTORS[spelt], np.float32).tolist()
    assert found.lowered == 4  # The, DOG, Straße, NaN


def test_the_first_of_equal_rows_counts_and_what_is_no_utf8_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(b"\xff 1 2 3\ndog 1 2 3\n\ndog 4 5 6\n")
    assert read(path).rows["DOG"].tolist() == [1, 2, 3]
    path.write_bytes(b"horse 1 2 3\n")
    assert read(path) == Found({}, 0)


NUMBERS = "must be a token and its numbers"
WRONG: Mapping[str, tuple[bytes, str]] = {
    "too few": (
        b"the 1 2 3\ndog 1 2\n",
        "line 2: must be a token and 3 numbers, got 'dog 1 2'",
    ),
    "too few after a header": (
        b"2 3\nthe 1 2 3\ndog 1\n",
        "line 3: must be a token and 3 numbers, got 'dog 1'",
    ),
    "no number": (b"the 1 2 3\ndog 1 x 3\n", "line 2: dog needs 3 numbers, got '1 x 3'"),
    "infinite": (b"the 1 2 3\ndog 1 inf 3\n", "line 2: dog needs 3 numbers, got '1 inf 3'"),
    "prose": (b"A dog runs.\n", f"line 1: {NUMBERS}, got 'A dog runs.'"),
    "empty": (b"", f"line 1: {NUMBERS}, got ''"),
    "cut off": (
        word2vec(VECTORS)[:-10],
        "row 6: the file ends here; its first line tells of 6 rows of 3 numbers",
    ),
    "not a number": (
        word2vec({"dog": [1, 2, float("nan")], "x": [0, 0, 0]}),
        "row 1: dog needs 3 numbers, got [1.0, 2.0, nan]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file(case: str, tmp_path: Path) -> None:
    content, text = WRONG[case]
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(DataError) as error:
        read(tmp_path / "v")
    assert str(error.value) == f"{tmp_path / 'v'}: {text}"


@pytest.mark.parametrize("form", FORMS)
def test_another_width(form: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(FORMS[form](VECTORS))
    with pytest.raises(ConfigError) as error:
        read(tmp_path / "v", 256)
    assert str(error.value) == (
        f"source.vectors: {tmp_path / 'v'} has vectors of 3 numbers, the model's are of 256; "
        "set model.embedding_size: 3"
    )


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"v.tx does not exist; did you mean 'v.txt'\?$"):
        read(tmp_path / "v.tx")
    (tmp_path / "v.txt").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(DataError, match="is packed by zstd, only gzip is read"):
        read(tmp_path / "v.txt")
