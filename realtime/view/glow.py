"""Where labels are seen in the picture, as numbers that the page draws."""

from collections.abc import Iterable

import numpy as np

from realtime.recognizer import Recognizer
from realtime.stages.where import Heat
from realtime.view.page_state import State, hex_colour


def glow_state(recognizer: Recognizer | None, labels: Iterable[str]) -> State | None:
    """What each label scores where in the newest prediction; None without one. Unknown labels are left out.

    squares: x, y, width and height of each square that the network sees, in px of the upright picture. labels: for
    each its probability, its colour, and its scores in the 7 x 7 cells of each square, row by row.
    """
    if recognizer is None:
        return None
    found = {label: heat for label in labels if (heat := recognizer.heat_of(label)) is not None}
    if not found:
        return None
    squares = next(iter(found.values())).squares
    return {
        "squares": [[round(edge, 1) for edge in square] for square in squares],
        "labels": {
            label: [round(heat.probability, 6), hex_colour(label), _by_square(heat)]
            for label, heat in found.items()
        },
    }


def _by_square(heat: Heat) -> list[list[float]]:
    parts = np.split(heat.scores.astype(np.float64), len(heat.squares), axis=1)
    return [part.ravel().round(2).tolist() for part in parts]
