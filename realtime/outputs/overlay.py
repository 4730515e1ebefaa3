"""Draws a prediction over the picture.

┌─────────────────────────┐
│ tai chi              93%│     the prediction: label, probability, four runners-up if the picture is large enough
│ ███████████████████░░░░ │
└─────────────────────────┘
╶──────────────────────────────────────╴
  rgb, kinetics                    last 20 s · 0:12.4     caption and media time
  ▒▒▒▒▒▒▒▒│██ tai chi ████│▒▒▒▒▒▒▒▒▒▒▒▒▒▒     the last 20 s: events solid, leading labels faint
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from realtime.outputs.text import BOLD, REGULAR, Colour, write_line
from realtime.types import Event, Image, Prediction

STRIP_S = 20.0
"""Seconds that the event strip shows; its right end is now."""

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (106, 123, 224),
    (168, 163, 43),
    (165, 111, 208),
)
"""R G B. Okabe and Ito's colours that are visible on both black and white, and three more between them."""

WHITE, LIGHT, GREY = (255, 255, 255), (220, 220, 220), (175, 175, 175)
MIN_TEXT_SIDE_PX = 72
"""Below this size the picture has bars only: letters would be illegible."""


def label_colour(label: str) -> Colour:
    """A label has the same colour in every run and picture; two labels may share one."""
    return PALETTE[zlib.crc32(label.encode("utf-8", "replace")) % len(PALETTE)]


def clock(seconds: float) -> str:
    """75.25 -> "1:15.2"."""
    tenths = int(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def draw(
    rgb: Image,
    *,
    now_s: float,
    prediction: Prediction | None = None,
    events: Iterable[Event] = (),
    trail: Iterable[Event] = (),
    caption: str = "",
    flow: Image | None = None,
) -> Image:
    """uint8 (H, W, 3) -> a new picture of the same size with the prediction and the last `STRIP_S` seconds drawn on it.

    `now_s`: media time of the picture, seconds. `events`: solid bars in the strip, with their names if there is room.
    `trail`: stretches of time and the label that led in them, as faint bars under the events. `flow`: uint8 (h, w, 3),
    a picture of the flow for the upper right corner. A provisional prediction is shown in grey over a hatched bar.
    """
    out = rgb.copy()
    sizes = _Sizes.of(out)
    right = _answer(out, sizes, prediction)
    _strip(out, sizes, now_s, list(trail), list(events), caption)
    if flow is not None:
        _inset(out[: out.shape[0] // 2, right:], sizes, flow)
    return out


@dataclass(frozen=True)
class _Sizes:
    """All lengths, in px, derived from the picture's size; small pictures get relatively larger letters."""

    label: int
    small: int
    margin: int
    text: bool
    runners_up: int

    @classmethod
    def of(cls, picture: Image) -> "_Sizes":
        height, width = picture.shape[:2]
        unit = min(height, width * 3 // 4)
        small = max(9, round(4.9 + 0.0214 * unit))
        return cls(
            label=max(10, round(6.3 + 0.0405 * unit)),
            small=small,
            margin=round(0.6 * small),
            text=min(height, width) >= MIN_TEXT_SIDE_PX,
            runners_up=4 if unit >= 360 else 0,
        )


def _answer(out: Image, sizes: _Sizes, prediction: Prediction | None) -> int:
    """Draw the panel in the upper left corner; returns the column at which it ends."""
    height: int = out.shape[0]
    width: int = out.shape[1]
    if not sizes.text:
        if prediction is not None:
            _bar(out[: max(1, height // 8)], prediction)
        return width
    margin, row, bar = sizes.margin, round(1.3 * sizes.label), max(3, round(0.3 * sizes.label))
    others = prediction.top[1 : 1 + sizes.runners_up] if prediction is not None else ()
    bar_top = margin // 2 + row + margin // 4
    others_top = bar_top + bar + margin // 2
    line = round(1.45 * sizes.small)
    right = margin + min(width - 2 * margin, 16 * sizes.label)
    panel = out[margin : 2 * margin + others_top + line * len(others), margin:right]
    _dim(panel)
    inner = panel[:, margin:-margin]
    if prediction is None:
        write_line(inner[:others_top], "no answer yet", sizes.small, GREY)
        return right
    weight, colour = (BOLD, WHITE) if prediction.settled else (REGULAR, GREY)
    _row(inner[margin // 2 : margin // 2 + row], *prediction.top[0], sizes.label, colour, weight)
    _bar(inner[bar_top : bar_top + bar], prediction)
    for number, (label, probability) in enumerate(others):
        top = others_top + number * line
        _row(inner[top : top + line], label, probability, sizes.small, LIGHT)
    return right


def _row(
    box: Image, label: str, probability: float, size_px: int, colour: Colour, weight: int = REGULAR
) -> None:
    """The label on the left, its probability on the right."""
    used = write_line(box, _percent(probability), size_px, colour, weight, right=True)
    name = box[:, : -used - size_px // 3]
    write_line(name, label, size_px, colour, weight, least_px=max(9, round(0.7 * size_px)))


def _bar(track: Image, prediction: Prediction) -> None:
    """Fill `track` from the left in proportion to the probability."""
    track[:] = 70
    filled = track[:, : round(track.shape[1] * min(max(prediction.probability, 0.0), 1.0))]
    filled[:] = label_colour(prediction.label)
    if not prediction.settled:
        rows, columns = np.indices(filled.shape[:2])
        period = max(2, track.shape[0])
        filled[(rows + columns) % period >= period // 2] = 70


def _strip(
    out: Image, sizes: _Sizes, now_s: float, trail: list[Event], events: list[Event], caption: str
) -> None:
    height = out.shape[0]
    if not sizes.text:
        if trail or events:
            _track(out[height - max(1, height // 8) :], sizes, now_s, trail, events)
        return
    margin, line = sizes.margin, round(1.5 * sizes.small)
    panel = out[height - 2 * line - margin :]
    _dim(panel)
    inner = panel[:, margin:-margin]
    used = write_line(inner[:line], f"last {STRIP_S:.0f} s · {clock(now_s)}", sizes.small, LIGHT, right=True)
    write_line(inner[:line, : -used - margin], caption, sizes.small, LIGHT)
    _track(inner[line : 2 * line], sizes, now_s, trail, events)


def _track(track: Image, sizes: _Sizes, now_s: float, trail: list[Event], events: list[Event]) -> None:
    """Bars over the last STRIP_S seconds."""
    width: int = track.shape[1]
    track[:] = 50

    def column(time_s: float) -> int:
        return round(max(time_s - now_s + STRIP_S, 0.0) / STRIP_S * width)

    for stretch in trail:
        share = 0.15 + 0.4 * stretch.probability
        faint = [round(50 + share * (channel - 50)) for channel in label_colour(stretch.label)]
        track[:, column(stretch.start_s) : column(stretch.end_s)] = faint
    for event in events:
        bar = track[:, column(event.start_s) : column(event.end_s)]
        bar[:] = label_colour(event.label)
        bar[:, 2:][:, -1:] = 0  # so that neighbours of the same colour stay apart
        if sizes.text and bar.shape[1] > 4 * sizes.small:
            pad = sizes.margin // 2
            write_line(bar[:, pad : -pad - 1], event.label, sizes.small, (0, 0, 0), BOLD)


def _inset(corner: Image, sizes: _Sizes, flow: Image) -> None:
    """Put `flow` into the upper right of `corner`, if there is room for a reasonable size."""
    import cv2

    height, width = flow.shape[:2]
    room_high, room_wide = (side - 2 * sizes.margin for side in corner.shape[:2])
    scale = min(5 * sizes.label / height, room_high / height, room_wide / width)
    size = round(width * scale), round(height * scale)
    if min(size) < 24:
        return
    small = cv2.resize(flow, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    right = corner.shape[1] - sizes.margin
    corner[sizes.margin : sizes.margin + size[1], right - size[0] : right] = small


def _dim(panel: Image) -> None:
    import cv2

    panel[:] = cv2.convertScaleAbs(panel, alpha=0.35)


def _percent(probability: float) -> str:
    """Never rounds up to certainty or down to nothing."""
    percent = 100 * probability
    if 99 < percent < 100:
        return ">99%"
    return "<1%" if 0 < percent < 1 else f"{percent:.0f}%"
