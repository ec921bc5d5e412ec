"""Files of pairs in every format, made by hand for the tests that run over the table."""

import csv
import io
import json
from collections.abc import Callable, Sequence

import pyarrow as pa
from pyarrow import parquet

from seq2seq.data.pairs.corpus import FORMATS, Pair

NO_FILES = {"text", "dataset", "hub"}
"""Formats that are not one file with both sides."""
PLAIN = {"tsv", "csv", "jsonl"}
"""Formats that are text, and may be packed."""


def _tsv(pairs: Sequence[Pair]) -> bytes:
    return "".join(f"{source}\t{target}\n" for source, target in pairs).encode()


def _csv(pairs: Sequence[Pair]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(pairs)
    return out.getvalue().encode()


def _jsonl(pairs: Sequence[Pair]) -> bytes:
    rows = ({"source": source, "target": target} for source, target in pairs)
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(pairs: Sequence[Pair]) -> pa.Table:
    return pa.table(
        {side: [pair[at] for pair in pairs] for at, side in enumerate(("source", "target"))}
    )


def _parquet(pairs: Sequence[Pair]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table(pairs), out)
    return out.getvalue()


def arrow(pairs: Sequence[Pair], stream: bool = True) -> bytes:
    out, found = io.BytesIO(), table(pairs)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, found.schema) as writer:
        writer.write_table(found)
    return out.getvalue()


WRITERS: dict[str, Callable[[Sequence[Pair]], bytes]] = {
    "tsv": _tsv,
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "arrow": arrow,
}
assert set(WRITERS) == FORMATS.keys() - NO_FILES, "each format needs a writer here"
