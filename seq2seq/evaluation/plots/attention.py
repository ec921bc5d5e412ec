"""Where a translator looked, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from seq2seq.errors import DataError
from seq2seq.evaluation.plots.style import INK, drawing, new_figure, visible, write

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    import matplotlib.image

SLANTED: dict[str, Any] = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"}


def plot_attention(
    weights: Float[np.ndarray, "T S"],
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    path: Path | None = None,
) -> "matplotlib.figure.Figure":
    """Draws which source tokens (columns) each target token (rows) attended to.

    Returns:
        The figure, also where it was written to ``path`` as a PNG.

    Raises:
        DataError: The numbers of tokens do not fit the weights, or there are none.
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    if weights.shape != (len(target_tokens), len(source_tokens)):
        raise DataError(
            f"attention: {weights.shape[0]} rows of {weights.shape[1]} weights do not fit "
            f"{len(target_tokens)} target and {len(source_tokens)} source tokens"
        )
    if weights.size == 0:
        raise DataError(
            f"attention: {len(target_tokens)} target and {len(source_tokens)} source tokens "
            "leave nothing to draw, at least one of each is needed"
        )
    rows, columns = weights.shape
    cell = 0.34 if max(rows, columns) <= 20 else 0.24
    with drawing():
        figure = new_figure(cell * columns + 2.0, cell * rows + 1.4)
        panel = figure.subplots()
        image = panel.imshow(weights, cmap="Blues", vmin=0)
        panel.spines[:].set_visible(False)
        panel.tick_params(labelsize=9 if cell > 0.3 else 7.5, labelcolor=INK)
        panel.tick_params(which="both", length=0)
        panel.xaxis.tick_top()
        turn = SLANTED if max(map(len, source_tokens), default=0) > 2 else {}
        # Without parse_math a dollar sign would start a formula.
        panel.set_xticks(range(columns), visible(source_tokens), parse_math=False, **turn)
        panel.set_yticks(range(rows), visible(target_tokens), parse_math=False)
        panel.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
        panel.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
        panel.grid(which="minor", color="white", linewidth=1)
        _draw_scale(panel, image)
        if path is not None:
            write(figure, path)
    return figure


def _draw_scale(panel: "matplotlib.axes.Axes", image: "matplotlib.image.AxesImage") -> None:
    """Draws the colours' scale at the lower right, five cells high."""
    rows, columns = image.get_size()
    place = panel.inset_axes((1 + 0.6 / columns, 0, 0.4 / columns, min(1, 5 / rows)))
    scale = panel.figure.colorbar(image, cax=place)
    scale.outline.set_visible(False)
    place.tick_params(length=0, labelsize=7.5)
