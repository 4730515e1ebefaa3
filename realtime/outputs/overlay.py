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
from collections.abc import Iterable, Sequence

import numpy as np

from engines.head import Floats
from realtime.outputs.marks import Mark, Rectangle, draw_glow, draw_lines, draw_tags
from realtime.outputs.text import BOLD, REGULAR, Colour, Sizes, dim, percent, write_line
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
    marks: Sequence[Mark] = (),
    glow: Floats | None = None,
) -> Image:
    """uint8 (H, W, 3) -> a new picture of the same size with the prediction and the last `STRIP_S` seconds drawn on it.

    `now_s`: media time of the picture, seconds. `events`: solid bars in the strip, with their names if there is room.
    `trail`: stretches of time and the label that led in them, as faint bars under the events. `flow`: uint8 (h, w, 3),
    a picture of the flow for the upper right corner. `marks`: parts of the picture; their tags keep clear of the
    panels. `glow`: see `realtime.outputs.marks.glow_weights`. A provisional prediction is shown in grey
    over a hatched bar.
    """
    out = rgb.copy()
    sizes = Sizes.of(out)
    if glow is not None:
        draw_glow(out, glow)
    draw_lines(out, sizes, marks)
    answer = _answer(out, sizes, prediction, named=any(mark.name for mark in marks))
    strip_top = _strip(out, sizes, now_s, list(trail), list(events), caption)
    draw_tags(out, sizes, marks, [answer, (0, strip_top, out.shape[1], out.shape[0])])
    if flow is not None:
        _inset(out[: out.shape[0] // 2, answer[2] :], sizes, flow)
    return out


def _answer(out: Image, sizes: Sizes, prediction: Prediction | None, *, named: bool) -> Rectangle:
    """Draw the panel in the upper left corner; returns what it covers. `named`: others have names in the picture, for
    which the runners-up make room."""
    height: int = out.shape[0]
    width: int = out.shape[1]
    if not sizes.text:
        if prediction is not None:
            _bar(out[: max(1, height // 8)], prediction)
        return (0, 0, width, max(1, height // 8))
    margin, row, bar = sizes.margin, round(1.3 * sizes.label), max(3, round(0.3 * sizes.label))
    others = () if prediction is None or named else prediction.top[1 : 1 + sizes.runners_up]
    bar_top = margin // 2 + row + margin // 4
    others_top = bar_top + bar + margin // 2
    line = round(1.45 * sizes.small)
    right = margin + min(width - 2 * margin, 16 * sizes.label)
    place = (margin, margin, right, 2 * margin + others_top + line * len(others))
    panel = out[margin : place[3], margin:right]
    dim(panel)
    inner = panel[:, margin:-margin]
    if prediction is None:
        write_line(inner[:others_top], "no answer yet", sizes.small, GREY)
        return place
    weight, colour = (BOLD, WHITE) if prediction.settled else (REGULAR, GREY)
    _row(inner[margin // 2 : margin // 2 + row], *prediction.top[0], sizes.label, colour, weight)
    _bar(inner[bar_top : bar_top + bar], prediction)
    for number, (label, probability) in enumerate(others):
        top = others_top + number * line
        _row(inner[top : top + line], label, probability, sizes.small, LIGHT)
    return place


def _row(
    box: Image, label: str, probability: float, size_px: int, colour: Colour, weight: int = REGULAR
) -> None:
    """The label on the left, its probability on the right."""
    used = write_line(box, percent(probability), size_px, colour, weight, right=True)
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
    out: Image, sizes: Sizes, now_s: float, trail: list[Event], events: list[Event], caption: str
) -> int:
    """Draw the strip at the lower edge; returns the row at which it begins."""
    height: int = out.shape[0]
    if not sizes.text:
        if trail or events:
            _track(out[height - max(1, height // 8) :], sizes, now_s, trail, events)
        return height - max(1, height // 8)
    margin, line = sizes.margin, round(1.5 * sizes.small)
    top = height - 2 * line - margin
    panel = out[top:]
    dim(panel)
    inner = panel[:, margin:-margin]
    used = write_line(inner[:line], f"last {STRIP_S:.0f} s · {clock(now_s)}", sizes.small, LIGHT, right=True)
    write_line(inner[:line, : -used - margin], caption, sizes.small, LIGHT)
    _track(inner[line : 2 * line], sizes, now_s, trail, events)
    return top


def _track(track: Image, sizes: Sizes, now_s: float, trail: list[Event], events: list[Event]) -> None:
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


def _inset(corner: Image, sizes: Sizes, flow: Image) -> None:
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
