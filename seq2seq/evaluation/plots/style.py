"""How all pictures look: colours, fonts, and what becomes of characters that cannot be seen."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.errors import ConfigError, StorageError

if TYPE_CHECKING:
    import matplotlib.figure

INK, GREY, BLUE, RED = "#222222", "#555555", "#2f6db3", "#d1495b"
# Only installed fonts are asked for; the later ones supply scripts that the first one lacks.
FONTS = ("Inter", "Helvetica Neue", "Arial", "DejaVu Sans", "Noto Sans", "Noto Sans CJK JP")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": GREY,
    "axes.edgecolor": "#bbbbbb",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "date.converter": "concise",
    "grid.color": "#e6e6e6",
    "lines.linewidth": 1.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.15,
}
INVISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\r": "←", "\t": "⇥"})


def visible(tokens: Sequence[str]) -> list[str]:
    """Returns tokens with signs for white space, and for what cannot be printed."""
    shown = (token.translate(INVISIBLE) for token in tokens)
    return [
        "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in token)
        for token in shown
    ]


def grouped(value: float, _: object = None) -> str:
    """Returns a number as an axis shows it, its thousands separated."""
    return f"{value:,.10g}"


@contextmanager
def drawing() -> Iterator[list[str]]:
    """Sets the style while something is drawn; gives the fonts to be tried."""
    try:
        import matplotlib
        from matplotlib.font_manager import fontManager
    except ImportError as error:
        raise ConfigError(
            "pictures need matplotlib: pip install 'seq2seq-toolkit[plot]'"
        ) from error
    installed = set(fontManager.get_font_names())
    family = [font for font in FONTS if font in installed]
    with matplotlib.rc_context(STYLE | {"font.family": family}), warnings.catch_warnings():
        # A character that no font has is drawn as a box, which is what there is to say about it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield family


def new_figure(width: float, height: float) -> "matplotlib.figure.Figure":
    """Returns an empty figure; sizes are in inches."""
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and seeks a display

    return Figure(figsize=(width, height), layout="constrained")


def write(figure: "matplotlib.figure.Figure", path: Path) -> None:
    """Writes a figure as PNG.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error})") from error
