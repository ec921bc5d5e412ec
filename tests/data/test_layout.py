from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.layout import flatten, make_batch, pad
from seq2seq.symbols import BOS, EOS, PAD

Ids = list[list[int]]
ROWS = st.lists(
    st.tuples(*[st.lists(st.integers(4, 30), min_size=1, max_size=7)] * 2), min_size=1, max_size=9
)


def padded(rows: Ids) -> Ids:
    width = max(map(len, rows))
    return [row + [PAD] * (width - len(row)) for row in rows]


@given(ROWS)
def test_a_batch_is_what_padding_row_by_row_gives(rows: list[tuple[list[int], list[int]]]) -> None:
    sources, targets = [row[0] for row in rows], [row[1] for row in rows]
    batch = make_batch(*flatten(sources), *flatten(targets))
    assert batch.source.values.tolist() == padded(sources)
    assert batch.target_in.values.tolist() == padded([[BOS, *row] for row in targets])
    assert batch.target_out.values.tolist() == padded([[*row, EOS] for row in targets])
    assert batch.source.lengths.tolist() == [len(row) for row in sources]
    assert batch.target_in.lengths.tolist() == [len(row) + 1 for row in targets]
    assert batch.target_out.lengths.tolist() == [len(row) + 1 for row in targets]


@given(st.lists(st.lists(st.integers(4, 30), max_size=5), max_size=5))
def test_padding_knows_empty_rows_and_no_rows(rows: Ids) -> None:
    found = pad(*flatten(rows))
    assert found.values.tolist() == (padded(rows) if rows else [])
    assert found.valid.sum() == sum(map(len, rows)) == found.count
    assert found.real.equal(found.valid.flatten().nonzero()[:, 0])
    assert found.full == bool(found.valid.all())
