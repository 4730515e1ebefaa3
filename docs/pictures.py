"""Draws the pictures of these pages: python docs/pictures.py [FOLDER]

They are drawn from the program's own constants.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from engines.backends.registry import ON_CPU, ON_NVIDIA, REGISTRY
from engines.engine import POSITION_SPAN_TICKS, POSITION_TICKS, SETTLED_AFTER_STEPS
from engines.spec import RGB

INK, GREY, PALE = "#1f2430", "#9aa3b2", "#e6e9ef"
NEW, AGAIN, ANSWER, GUESS = "#1d4ed8", "#c9d6f7", "#15803d", "#b45309"
STEPS = 14
WINDOW_TICKS = RGB.window_ticks
rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.labelcolor": INK})


def timeline(title: str, rows: int) -> tuple[Figure, Axes]:
    """Ticks from left to right, steps from top to bottom."""
    figure = Figure(figsize=(9, 0.3 * rows + 1.3), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    axes.set_xlim(0, (STEPS + 8) * POSITION_TICKS)
    axes.set_ylim(rows - 0.4, -0.7)
    axes.set_xticks(range(0, (STEPS + 8) * POSITION_TICKS + 1, 2 * POSITION_TICKS))
    axes.set_yticks([])
    axes.set_xlabel(f"ticks (one is 1/{RGB.fps} s)")
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.tick_params(colors=INK)
    return figure, axes


def bar(axes: Axes, row: int, start: int, stop: int, colour: str, **style: object) -> None:
    patch = Rectangle(
        (start, row - 0.32), stop - start, 0.64, facecolor=colour, edgecolor="white", linewidth=0.8
    )
    patch.set(**style)
    axes.add_patch(patch)


def outline(axes: Axes, row: int, start: int, stop: int, colour: str, *, dashed: bool = False) -> None:
    """The span of a prediction."""
    style = (0, (3, 2)) if dashed else "solid"
    axes.add_patch(
        Rectangle(
            (start, row - 0.42),
            stop - start,
            0.84,
            fill=False,
            edgecolor=colour,
            linewidth=2,
            linestyle=style,
        )
    )


def legend(axes: Axes, entries: list[tuple[str, str]]) -> None:
    handles = [Rectangle((0, 0), 1, 1, facecolor=colour) for colour, _ in entries]
    axes.legend(handles, [text for _, text in entries], loc="upper right", frameon=False, fontsize=8.5)


def window() -> Figure:
    figure, axes = timeline("window: every 8 ticks, the last 64 all over again", STEPS - 7)
    for row in range(STEPS - 7):
        start = POSITION_TICKS * row
        for tick in range(start, start + WINDOW_TICKS, POSITION_TICKS):
            first = row == 0 or tick == start + WINDOW_TICKS - POSITION_TICKS
            bar(axes, row, tick, tick + POSITION_TICKS, NEW if first else AGAIN)
        outline(axes, row, start, start + WINDOW_TICKS, ANSWER)
    legend(axes, [(NEW, "computed"), (AGAIN, "computed again"), (ANSWER, "span of the prediction")])
    return figure


def continual() -> Figure:
    figure, axes = timeline(
        "continual: each tick once; a prediction when everything that the network looks at has arrived", STEPS
    )
    for row in range(STEPS):
        _step(axes, row)
    legend(axes, [(NEW, "computed"), (PALE, "remembered"), (ANSWER, "span of the prediction, settled")])
    return figure


def preview() -> Figure:
    figure, axes = timeline("preview: continual, plus provisional predictions at each step", STEPS)
    ahead = (SETTLED_AFTER_STEPS - 1) * POSITION_TICKS
    for row in range(STEPS):
        stop = POSITION_TICKS * (row + 1)
        bar(axes, row, stop, stop + ahead, "white", edgecolor=GREY, hatch="////", linewidth=0.5)
        _step(axes, row)
        if row:
            outline(axes, row, stop - POSITION_SPAN_TICKS, stop, GUESS, dashed=True)
    legend(
        axes,
        [
            (NEW, "computed"),
            (PALE, "remembered"),
            (GREY, "zeros in place of what is to come (hatched), then forgotten"),
            (ANSWER, "a settled prediction"),
            (GUESS, "a provisional prediction (dashed), for the newest ticks"),
        ],
    )
    return figure


def _step(axes: Axes, row: int) -> None:
    """The step that takes ticks 8 row to 8 row + 7, counted from 0."""
    start = POSITION_TICKS * row
    if row:
        bar(axes, row, max(0, start - WINDOW_TICKS), start, PALE)
    bar(axes, row, start, start + POSITION_TICKS, NEW)
    position = row + 1 - SETTLED_AFTER_STEPS
    if position >= 0:
        outline(axes, row, POSITION_TICKS * position, POSITION_TICKS * position + POSITION_SPAN_TICKS, ANSWER)


KINDS = {
    "openvino": "IR files, CPU",
    "tensorrt": "plan, NVIDIA GPU",
    "tensorrt-rtx": "plan, GeForce and RTX",
    "torch": "in the process, CPU or GPU",
    "torch-tensorrt": "in the process, NVIDIA GPU",
}
"""What each backend produces, and where it runs."""


def box(axes: Axes, x: float, y: float, text: str, colour: str = "white", width: float = 2.3) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x, y), width, 1, boxstyle="round,pad=0.06", facecolor=colour, edgecolor=INK, linewidth=1
        )
    )
    axes.text(x + width / 2, y + 0.5, text, ha="center", va="center", fontsize=8.5)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.2})


def engines() -> Figure:
    figure = Figure(figsize=(9, 4.6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.1, 12.2)
    axes.set_ylim(-2.4, 5.4)
    axes.set_title("engines: built once, checked, kept", loc="left", fontweight="bold", fontsize=11)
    box(axes, 0, 1.5, "weights\n(fetched, hash checked)")
    box(axes, 3.2, 1.5, "build\n(ONNX)", AGAIN)
    box(axes, 6.4, 1.5, "check against\nthe reference", AGAIN)
    arrow(axes, (2.4, 2), (3.1, 2))
    arrow(axes, (5.6, 2), (6.3, 2))
    for y, name in zip(np.linspace(4.2, -1.2, len(REGISTRY)), sorted(REGISTRY), strict=True):
        box(axes, 9.6, y, f"{name}\n{KINDS.get(name, '')}".strip())
        arrow(axes, (8.8, 2), (9.5, y + 0.5))
    on_nvidia = ", ".join(dict.fromkeys(ON_NVIDIA + ON_CPU))
    order = f"auto tries, in this order: with an NVIDIA driver {on_nvidia}; without {', '.join(ON_CPU)}"
    axes.text(0, -2.2, order, fontsize=9)
    return figure


def memory() -> Figure:
    """One layer of kernel 3 over two chunks of four."""
    figure = Figure(figsize=(9, 3.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-4.6, 12.5)
    axes.set_ylim(-0.6, 5)
    axes.set_title(
        "a layer that looks one position back and one ahead", loc="left", fontweight="bold", fontsize=11
    )
    chunks = ((0, 4, 3.6), (4, 8, 1.2))
    for number, (start, stop, y) in enumerate(chunks, 1):
        axes.text(-4.5, y + 0.45, f"chunk {number}", fontweight="bold")
        axes.text(-4.5, y - 0.6, "gives")
        for i in range(start - 2, start):
            outside = i < 0
            _cell(axes, i, y, "0" if outside else str(i), PALE)
        for i in range(start, stop):
            _cell(axes, i, y, str(i), AGAIN)
        for i in range(max(0, start - 1), stop - 1):
            _cell(axes, i, y - 1.05, str(i), "#d5efdc")
    axes.text(8.6, 4.05, "2 remembered (at the start: zeros)", fontsize=8.5)
    axes.text(8.6, 3.0, "3 waits: it needs 4", fontsize=8.5)
    axes.text(8.6, 1.65, "2 and 3 were remembered", fontsize=8.5)
    axes.text(8.6, 0.6, "3 to 6, as if there were no chunks", fontsize=8.5)
    return figure


def _cell(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), 0.92, 0.9, facecolor=colour, edgecolor=INK, linewidth=0.8))
    axes.text(x + 0.46, y + 0.45, text, ha="center", va="center")


PICTURES = {
    "mode-window": window,
    "mode-continual": continual,
    "mode-preview": preview,
    "engines": engines,
    "layer-memory": memory,
}


def draw(folder: Path) -> None:
    for name, make in PICTURES.items():
        make().savefig(folder / f"{name}.png", metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
