"""Columns of categories as numbers: one of each category, learned from the training part."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from seq2seq.data.series.steps import Table
from seq2seq.errors import DataError, nearest

Categories: TypeAlias = Mapping[str, tuple[str, ...]]
"""The values of each column of categories, in order."""
SHOWN = 20


def learn(
    table: Table, columns: Iterable[str], training: Bool[np.ndarray, "R"]
) -> dict[str, tuple[str, ...]]:
    """Returns the categories of those columns that hold texts, as found in the training rows.

    Raises:
        DataError: A column has no value there.
    """
    found = {}
    for column in columns:
        values = table.values[column]
        if values.dtype.kind != "f":
            found[column] = tuple(sorted(set(values[training].dropna())))
            if not found[column]:
                raise DataError(f"{table.name}: {column} is empty in the whole training part")
    return found


def encode(
    table: Table, columns: Iterable[str], categories: Categories
) -> Float[np.ndarray, "R K"]:
    """Returns columns side by side as numbers; each category is a column of 0 and 1.

    What is missing is NaN.

    Raises:
        DataError: A value is none of the categories.
    """
    parts = [np.zeros((len(table.codes), 0))]
    for column in columns:
        if column in categories:
            parts.append(_one_hot(table, column, categories[column]))
        else:
            parts.append(table.values[column].to_numpy(np.float64)[:, None])
    return np.concatenate(parts, axis=1)


def names(columns: Iterable[str], categories: Categories) -> tuple[str, ...]:
    """Returns the names of the columns that :func:`encode` gives.

    >>> names(["day", "rain"], {"day": ("A", "B")})
    ('day=A', 'day=B', 'rain')
    """
    return tuple(
        name
        for column in columns
        for name in (
            [f"{column}={value}" for value in categories[column]]
            if column in categories
            else [column]
        )
    )


def _one_hot(table: Table, column: str, known: tuple[str, ...]) -> np.ndarray:
    values = table.values[column]
    codes = pd.Index(known, dtype=object).get_indexer(pd.Index(values, dtype=object))
    missing = values.isna().to_numpy()
    unknown = (codes < 0) & ~missing
    if unknown.any():
        row = int(unknown.argmax())
        value = str(values.iloc[row])
        shown = ", ".join(known[:SHOWN]) + (" and more" if len(known) > SHOWN else "")
        raise DataError(
            f"{table.where(row)}: {column} is {value!r}, which does not occur in the training part "
            f"({shown}){nearest(value, known)}"
        )
    encoded: np.ndarray = np.eye(len(known))[codes]
    encoded[missing] = np.nan
    return encoded
