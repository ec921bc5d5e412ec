"""What a check of data found: figures side by side, and problems."""

from dataclasses import dataclass

from seq2seq.lists import aligned


@dataclass(frozen=True)
class Report:
    """Figures of each corpus or series side by side, and the problems found, one line each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    problems: tuple[str, ...]

    def table(self) -> str:
        """Returns the figures as aligned text, one column for each corpus or series."""
        return aligned("<" + ">" * len(self.columns), [("", *self.columns), *self.rows])
