"""Draws the timeline, with OpenCV, which the annotated video needs anyway.

title
caption
      [picture]    [picture]             an event each, with its place
100% ┤   ╭────────╮      ░░░   ╭────     curves: probability of each class
  0% ┼───╯        ╰────  ░░░ ──╯         hatched: no frames
 tai chi ■  ███████████  ░░░             rows: the events of each class; its name is the key to the colours
 door: yoga ■            ░░░   █████      ... of several actions and of zones
   min:s 0:00   0:10   0:20   0:30
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.outputs.overlay import WHITE
from realtime.outputs.text import Colour, width_px, write_line
from realtime.outputs.thumbnails import Thumbnail
from realtime.outputs.timeline_rows import Row, lanes, rows_of
from realtime.outputs.timeline_strip import STRIP_PX, draw_strip
from realtime.types import Event, Image

Array = NDArray[Any]
WIDTH_PX, TOP_PX, CURVES_PX, ROW_PX, BOTTOM_PX, RIGHT_PX = 1200, 70, 250, 27, 36, 30
TITLE_PX, TEXT_PX, LINE_PX, NAME_PX, MARGIN_PX = 19, 14, 18, 300, 12
INK, FAINT, RULE, NO_FRAMES = (36, 41, 47), (140, 149, 159), (228, 232, 236), (241, 243, 245)
HIGHEST = 1.04
"""Probability at the top of the curves' area: leaves room for a line at 1."""
STEPS_S = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
SUBPIXELS = 4
"""Fractional bits in the coordinates of curves."""


@dataclass(frozen=True)
class Chart:
    """What is drawn. Times are seconds of media time."""

    names: Sequence[str]
    """Classes with a curve and a row, most important first; at most as many as there are colours."""
    spans_s: Array
    """float64 (n, 2): start and end of each prediction, in order."""
    probabilities: Array
    """float32 (n, classes)."""
    unit: str
    """What the vertical axis shows."""
    events: Sequence[Event]
    """Events of classes without a row share one row."""
    gaps: Sequence[Event]
    title: str
    caption: str
    thumbnails: Sequence[Thumbnail] = ()


def save_chart(path: Path | str, chart: Chart) -> None:
    """Write a PNG, 1200 px wide and as high as its rows need. Raises OSError."""
    import cv2

    _, png = cv2.imencode(".png", np.ascontiguousarray(_picture(chart)[:, :, ::-1]))
    Path(path).write_bytes(png.tobytes())


@dataclass(frozen=True)
class _Plot:
    """Where in the picture time begins and ends, and the colour of each row."""

    canvas: Image
    left_px: int
    top_px: int
    """Where the curves begin."""
    rows: Sequence[Row]
    end_s: float

    def column(self, time_s: Array | float) -> Any:
        """Distance from the left end of the time axis, px."""
        return np.multiply(time_s, (WIDTH_PX - RIGHT_PX - self.left_px) / self.end_s)

    def above(self) -> Image:
        """The part of the picture that holds the curves."""
        return self.canvas[self.top_px : self.top_px + CURVES_PX, self.left_px : -RIGHT_PX]

    def below(self, row: int) -> Image:
        """The part that holds the bars of that row."""
        top = self.top_px + CURVES_PX + ROW_PX * row
        return self.canvas[top : top + ROW_PX, self.left_px : -RIGHT_PX]


def _picture(chart: Chart) -> Image:
    rows = rows_of(chart.names, chart.events)
    widest = max((width_px(row.name, TEXT_PX) for row in rows), default=0)
    top_px = TOP_PX + (STRIP_PX if chart.thumbnails else 0)
    height = top_px + CURVES_PX + ROW_PX * max(1, len(rows)) + BOTTOM_PX
    ends_s = [*chart.spans_s[:, 1], *(stretch.end_s for stretch in (*chart.events, *chart.gaps))]
    plot = _Plot(
        canvas=np.full((height, WIDTH_PX, 3), 255, np.uint8),
        left_px=76 + min(NAME_PX, max(30, widest)),
        top_px=top_px,
        rows=rows,
        end_s=float(max(ends_s, default=0)) or 1.0,
    )
    for y_px, text, size_px in ((23, chart.title, TITLE_PX), (48, chart.caption, TEXT_PX)):
        box = _line(plot.canvas, y_px, MARGIN_PX, WIDTH_PX - MARGIN_PX, size_px)
        write_line(box, text, size_px, INK)
    _draw_gaps(plot, chart.gaps)
    _draw_scale(plot, chart.unit)
    _draw_curves(plot, chart)
    _draw_rows(plot)
    _draw_time(plot)
    if chart.thumbnails:
        strip = plot.canvas[TOP_PX:top_px, plot.left_px : -RIGHT_PX]
        draw_strip(strip, chart.thumbnails, plot.column, dict(_colours(rows)))
    return plot.canvas


def _line(canvas: Image, y_px: int, left_px: int, right_px: int, size_px: int = TEXT_PX) -> Image:
    """The box of a line of text of that size around that height, with room for descenders."""
    half = LINE_PX * size_px // TEXT_PX // 2
    return canvas[y_px - half : y_px + half + 1, max(0, left_px) : right_px]


def _centred(box: Image, text: str, colour: Colour) -> None:
    write_line(box[:, max(0, (box.shape[1] - width_px(text, TEXT_PX)) // 2) :], text, TEXT_PX, colour)


def _sections(chart: Chart) -> Iterator[tuple[Array, Array]]:
    """Times (n,) and probabilities (n, classes) of each curve between two gaps.

    A prediction is drawn at the middle of its span, as changes of action are; the first and last of a section extend
    to its ends.
    """
    spans_s, probabilities = chart.spans_s, chart.probabilities
    middles = spans_s.mean(axis=1)
    breaks = np.searchsorted(middles, [gap.start_s for gap in chart.gaps])
    for section in np.split(np.arange(len(middles)), np.unique(breaks)):
        if len(section):
            first, last = section[0], section[-1]
            times_s = np.r_[spans_s[first, 0], middles[section], spans_s[last, 1]]
            yield times_s, probabilities[np.r_[first, section, last]]


def _height(probability: Array | float) -> Any:
    """Distance from the top of the curves' area, px."""
    return CURVES_PX * (1 - np.asarray(probability) / HIGHEST)


def _draw_scale(plot: _Plot, unit: str) -> None:
    """The vertical axis: its title, its numbers, and a rule at each."""
    top_px = plot.top_px
    for percent in (0, 25, 50, 75, 100):
        y_px = min(round(_height(percent / 100)), CURVES_PX - 1)
        plot.above()[y_px] = RULE
        box = _line(plot.canvas, top_px + y_px, plot.left_px - 60, plot.left_px - 8)
        write_line(box, f"{percent}%", TEXT_PX, INK, right=True)
    lines = unit.splitlines()
    upright = np.full((LINE_PX * len(lines), CURVES_PX, 3), WHITE, np.uint8)
    for number, text in enumerate(lines):
        _centred(upright[LINE_PX * number : LINE_PX * (number + 1)], text, INK)
    right_px = plot.left_px - 50
    plot.canvas[top_px : top_px + CURVES_PX, right_px - len(upright) : right_px] = np.rot90(upright)


def _draw_curves(plot: _Plot, chart: Chart) -> None:
    import cv2

    sections = list(_sections(chart))
    thick = 2 if len(chart.spans_s) < CURVES_PX else 1
    canvas = np.ascontiguousarray(plot.above())
    for index in reversed(range(len(chart.names))):  # the most important one on top
        colour = plot.rows[index].colour
        shade = canvas.copy()
        for times_s, values in sections:
            x, y = plot.column(times_s), _height(values[:, index])
            area = np.c_[np.r_[x[0], x, x[-1]], np.r_[CURVES_PX, y, CURVES_PX]]
            cv2.fillPoly(shade, [_points(area)], colour, cv2.LINE_AA, SUBPIXELS)
        cv2.addWeighted(shade, 0.12, canvas, 0.88, 0, canvas)
        for times_s, values in sections:
            line = np.c_[plot.column(times_s), _height(values[:, index])]
            cv2.polylines(canvas, [_points(line)], False, colour, thick, cv2.LINE_AA, SUBPIXELS)
    plot.above()[:] = canvas
    if not sections:
        _centred(_line(plot.above(), CURVES_PX // 2, 0, WIDTH_PX), "no predictions", FAINT)


def _points(px: Array) -> Array:
    """Subpixel coordinates as OpenCV takes them: whole numbers are at the centres of pixels."""
    whole: Array = np.rint((px - 0.5) * 2**SUBPIXELS).astype(np.int32)
    return whole


def _draw_rows(plot: _Plot) -> None:
    """One row per class or part: its name, its colour, and a bar for each event."""
    for number, row in enumerate(plot.rows):
        middle = plot.top_px + CURVES_PX + ROW_PX * number + ROW_PX // 2
        plot.canvas[middle, plot.left_px : -RIGHT_PX] = RULE
        plot.canvas[middle - 5 : middle + 6, plot.left_px - 24 : plot.left_px - 13] = row.colour
        names = _line(plot.canvas, middle, plot.left_px - 34 - NAME_PX, plot.left_px - 34)
        write_line(names, row.name, TEXT_PX, INK, right=True)
        bars = plot.below(number)[4:-4]
        places = lanes(row.events)
        count = max(places, default=0) + 1
        for event, lane in zip(row.events, places, strict=True):
            top, bottom = (len(bars) * each // count for each in (lane, lane + 1))
            bars[top : max(top + 1, bottom - (lane < count - 1)), _columns(plot, event)] = row.colour


def _colours(rows: Sequence[Row]) -> Iterator[tuple[Event, Colour]]:
    """The colour of each event."""
    for row in rows:
        for event in row.events:
            yield event, row.colour


def _columns(plot: _Plot, stretch: Event) -> slice:
    """The columns of a stretch of time: at least one, so that an event shorter than a pixel is visible."""
    width = WIDTH_PX - RIGHT_PX - plot.left_px
    first = min(int(plot.column(stretch.start_s)), width - 1)
    return slice(first, max(first + 1, round(float(plot.column(stretch.end_s)))))


def _draw_gaps(plot: _Plot, gaps: Sequence[Event]) -> None:
    """Hatched, across curves and bars."""
    area = plot.canvas[plot.top_px : -BOTTOM_PX, plot.left_px : -RIGHT_PX]
    row, column = np.ogrid[: area.shape[0], : area.shape[1]]
    hatched = np.where(((row + column) % 10 < 2)[:, :, None], FAINT, NO_FRAMES).astype(np.uint8)
    for gap in gaps:
        columns = _columns(plot, gap)
        area[:, columns] = hatched[:, columns]


def _draw_time(plot: _Plot) -> None:
    """The axis from 0 to the end."""
    axis_px = plot.canvas.shape[0] - BOTTOM_PX
    plot.canvas[axis_px, plot.left_px : -RIGHT_PX] = FAINT
    unit = _line(plot.canvas, axis_px + 16, MARGIN_PX, plot.left_px - 34)
    write_line(unit, _time_unit(plot.end_s), TEXT_PX, FAINT, right=True)
    step_s = next((step for step in STEPS_S if plot.end_s / step <= 12), plot.end_s)
    for number in range(int(plot.end_s / step_s) + 1):
        time_s = number * step_s
        column = min(plot.left_px + int(plot.column(time_s)), WIDTH_PX - RIGHT_PX - 1)
        plot.canvas[axis_px : axis_px + 5, column] = FAINT
        _centred(
            _line(plot.canvas, axis_px + 16, column - 30, column + 31), time_text(time_s, plot.end_s), INK
        )


def _time_unit(end_s: float) -> str:
    return "s" if end_s < 60 else "min:s" if end_s < 3600 else "h:min"


def time_text(time_s: float, end_s: float) -> str:
    """In the unit that suits an axis up to `end_s`."""
    if end_s < 60:
        return f"{time_s:g}"
    whole = int(time_s) if end_s < 3600 else int(time_s) // 60
    return f"{whole // 60}:{whole % 60:02d}"
