"""The drawing of the timeline; the only file that imports Matplotlib.

title
caption
100% ┤   ╭────────╮      ░░░   ╭────     curves: probability of each class
  0% ┼───╯        ╰────  ░░░ ──╯         hatched: no frames
 tai chi ■  ███████████  ░░░             rows: the events of each class; its name is the key to the colours
 push up ■               ░░░   █████
   min:s 0:00   0:10   0:20   0:30
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.sinks.lettering import printable, shortened
from realtime.sinks.overlay import PALETTE, label_colour
from realtime.types import Event

Array = NDArray[Any]
DPI, WIDTH_PX = 100, 1200
TOP_PX, CURVES_PX, ROW_PX, BOTTOM_PX, RIGHT_PX = 70, 250, 27, 36, 30
TITLE_PT, TEXT_PT, NAME_PX, MARGIN_PX = 14, 10, 300, 12
INK, FAINT, RULE = "#24292f", "#8c959f", "#e4e8ec"
STEPS_S = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
EASTERN_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "Microsoft YaHei")


@dataclass(frozen=True)
class Chart:
    """What is drawn. Times are seconds of media time."""

    names: Sequence[str]
    """Classes with a curve and a row, at most as many as there are colours; the most important first."""
    spans_s: Array
    """float64 (n, 2): start and end of each answer, in order."""
    probabilities: Array
    """float32 (n, classes)."""
    unit: str
    """What the upright axis shows."""
    events: Sequence[Event]
    """Those of classes that have no row share one."""
    gaps: Sequence[Event]
    title: str
    caption: str


def save_chart(path: Path | str, chart: Chart) -> None:
    """Write a PNG, 1200 px wide and as high as its rows need. Raises OSError."""
    with _letters():
        _figure(chart).savefig(path, format="png")


@contextmanager
def _letters() -> Iterator[None]:
    """Matplotlib's own font lacks Chinese, Japanese and Korean: take them from the system, else show boxes for them."""
    import matplotlib
    from matplotlib import font_manager

    installed = [name for name in EASTERN_FONTS if name in font_manager.get_font_names()]
    with matplotlib.rc_context({"font.family": ["DejaVu Sans", *installed]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield


def _curves(chart: Chart) -> tuple[Array, Array]:
    """Times (n,) and probabilities (n, classes) for drawing, with NaN where the curves break.

    An answer stands at the middle of its span, as changes of action do; the first and last of a section reach to its ends.
    """
    spans_s, probabilities = chart.spans_s, chart.probabilities
    middles = spans_s.mean(axis=1)
    breaks = np.searchsorted(middles, [gap.start_s for gap in chart.gaps])
    times, values = [np.zeros(0)], [np.zeros((0, probabilities.shape[1]))]
    for section in np.split(np.arange(len(middles)), np.unique(breaks)):
        if len(section):
            first, last = section[0], section[-1]
            times.append(np.r_[spans_s[first, 0], middles[section], spans_s[last, 1], np.nan])
            values.append(probabilities[np.r_[first, section, last, last]])
    return np.concatenate(times), np.concatenate(values)


def _colours(names: Sequence[str]) -> list[tuple[float, float, float]]:
    """The colours of the annotated video; of two classes with the same, the second gets the next that is free."""
    free, out = list(PALETTE), []
    for name in names:
        colour = label_colour(name)
        while colour not in free:
            colour = PALETTE[(PALETTE.index(colour) + 1) % len(PALETTE)]
        free.remove(colour)
        out.append((colour[0] / 255, colour[1] / 255, colour[2] / 255))
    return out


def _figure(chart: Chart) -> Any:
    from matplotlib.figure import Figure

    others = any(event.label not in chart.names for event in chart.events)
    rows = [*chart.names, "other actions"] if others else list(chart.names)
    left_px = 76 + min(NAME_PX, max((_width_px(printable(name), TEXT_PT) for name in rows), default=0))
    rows_px = ROW_PX * max(1, len(rows))
    height_px = TOP_PX + CURVES_PX + rows_px + BOTTOM_PX
    figure = Figure((WIDTH_PX / DPI, height_px / DPI), dpi=DPI, facecolor="white")

    def axes(bottom_px: int, tall_px: int) -> Any:
        box_px = np.array((left_px, bottom_px, WIDTH_PX - RIGHT_PX - left_px, tall_px))
        return figure.add_axes(tuple(box_px / (WIDTH_PX, height_px, WIDTH_PX, height_px)))

    above, below = axes(BOTTOM_PX + rows_px, CURVES_PX), axes(BOTTOM_PX, rows_px)
    colours = _colours(chart.names)
    _draw_curves(above, chart, colours)
    _draw_rows(below, rows, [*colours, (0.6, 0.6, 0.6)], chart.events)
    ends_s = [*chart.spans_s[:, 1], *(stretch.end_s for stretch in (*chart.events, *chart.gaps))]
    end_s = float(max(ends_s, default=0)) or 1.0
    for each in (above, below):
        _draw_time(each, end_s, chart.gaps)
    above.tick_params(bottom=False, labelbottom=False)
    corner = (left_px - 34) / WIDTH_PX, (BOTTOM_PX - 15) / height_px
    figure.text(*corner, _time_unit(end_s), color=FAINT, size=TEXT_PT, ha="right", va="center")
    for text, size_pt, y_px in ((chart.title, TITLE_PT, 28), (chart.caption, TEXT_PT, 52)):
        fitted = _fitted(text, size_pt, WIDTH_PX - 2 * MARGIN_PX)
        figure.text(MARGIN_PX / WIDTH_PX, 1 - y_px / height_px, fitted, color=INK, size=size_pt)
    return figure


def _draw_curves(axes: Any, chart: Chart, colours: Sequence[Any]) -> None:
    times_s, values = _curves(chart)
    thick = 2 if len(times_s) < CURVES_PX else 1
    for index in reversed(range(len(colours))):  # the most important one on top
        axes.fill_between(times_s, values[:, index], color=colours[index], alpha=0.12, linewidth=0)
        axes.plot(times_s, values[:, index], color=colours[index], linewidth=thick, solid_joinstyle="round")
    if not len(times_s):
        note = "no predictions"
        axes.text(0.5, 0.5, note, transform=axes.transAxes, ha="center", color=FAINT, size=TITLE_PT)
    axes.set_ylim(0, 1.04)
    axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0%", "25%", "50%", "75%", "100%"))
    axes.set_ylabel(chart.unit, color=INK, size=TEXT_PT)
    axes.grid(axis="y", color=RULE)


def _draw_rows(axes: Any, rows: Sequence[str], colours: Sequence[Any], events: Sequence[Event]) -> None:
    """One row a class: its name with its colour, and a bar for each event."""
    for row, colour in zip(range(len(rows)), colours, strict=False):
        axes.axhline(row, color=RULE, linewidth=1, zorder=0)
        axes.plot(-0.017, row, "s", color=colour, ms=8, transform=axes.get_yaxis_transform(), clip_on=False)
    bars: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        row = rows.index(event.label) if event.label in rows else len(rows) - 1
        bars[row].append((event.start_s, event.end_s - event.start_s))
    for row, ranges in bars.items():
        # The outline keeps an event visible that is shorter than a pixel.
        axes.broken_barh(ranges, (row - 0.36, 0.72), color=colours[row], linewidth=0.7)
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [_fitted(name, TEXT_PT, NAME_PX) for name in rows])
    axes.tick_params(axis="y", length=0, pad=24)


def _draw_time(axes: Any, end_s: float, gaps: Sequence[Event]) -> None:
    """The axis from 0 to `end_s`, and the gaps across all of its height."""
    ranges = [(gap.start_s, gap.end_s - gap.start_s) for gap in gaps]
    full = axes.get_xaxis_transform()
    axes.broken_barh(ranges, (0, 1), transform=full, fc="#f1f3f5", ec=FAINT, hatch="////", linewidth=0)
    step_s = next((step for step in STEPS_S if end_s / step <= 12), end_s)
    ticks_s = np.arange(int(end_s / step_s) + 1) * step_s
    axes.set_xticks(ticks_s, [_time_text(time_s, end_s) for time_s in ticks_s])
    axes.set_xlim(0, end_s)
    axes.tick_params(labelsize=TEXT_PT, labelcolor=INK, color=FAINT)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(FAINT)


def _time_unit(end_s: float) -> str:
    return "s" if end_s < 60 else "min:s" if end_s < 3600 else "h:min"


def _time_text(time_s: float, end_s: float) -> str:
    """As the unit of an axis to `end_s` asks for."""
    if end_s < 60:
        return f"{time_s:g}"
    whole = int(time_s) if end_s < 3600 else int(time_s) // 60
    return f"{whole // 60}:{whole % 60:02d}"


def _fitted(text: str, size_pt: int, width_px: int) -> str:
    """As much of the text as fits, with nothing in it that Matplotlib would read as a formula."""
    fitted = shortened(printable(text), lambda part: _width_px(part, size_pt) <= width_px)
    return fitted.replace("$", r"\$")


def _width_px(text: str, size_pt: int) -> int:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width_pt, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size_pt), False)
    return round(width_pt * DPI / 72)
