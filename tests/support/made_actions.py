"""Clips of synthetic actions that differ in known ways: which way things move, how fast, and what they look like."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime.outputs.video_file import VideoWriter

FPS = 25
SIZE_PX = (320, 240)
"""(width, height)"""
THINGS = 14


@dataclass(frozen=True)
class Action:
    """Things that cross the picture."""

    speed_px: float
    """Px per frame, down or to the right, in a picture 240 px high."""
    upright: bool = True
    """True: they move up or down. False: left or right."""
    rings: bool = False
    """True: rings. False: filled squares."""


ACTIONS: Mapping[str, Action] = {
    "up": Action(-3),
    "down": Action(3),
    "fast down": Action(12),
    "rings down": Action(3, rings=True),
}
SIDEWAYS: Mapping[str, Action] = {"left": Action(-3, upright=False), "right": Action(3, upright=False)}
"""Each is the mirror image of the other: a model taught on mirrored pictures confuses them."""


def frames(
    action: Action, count: int, rng: np.random.Generator, size_px: tuple[int, int] = SIZE_PX
) -> Iterator[NDArray[np.uint8]]:
    """uint8 (H, W, 3) each: things of random place, size and colour, all at the action's speed, on a random
    background."""
    width, height = size_px
    scale = height / 240
    margin = 40 * scale
    places = rng.uniform(-margin, margin + np.array(size_px), (THINGS, 2))
    radius = rng.uniform(12, 24, THINGS) * scale
    colours = rng.integers(60, 256, (THINGS, 3))
    ground = rng.integers(0, 60, 3) + rng.integers(0, 25, (height, width, 1))
    axis = 1 if action.upright else 0
    for number in range(count):
        picture = ground.astype(np.uint8)
        for i in range(THINGS):
            # What leaves at one side comes in at the other, once it is out of sight.
            centre = places[i].copy()
            centre[axis] += number * action.speed_px * scale + margin
            centre[axis] = centre[axis] % (size_px[axis] + 2 * margin) - margin
            _draw(picture, centre, float(radius[i]), colours[i], rings=action.rings)
        yield picture


def _draw(
    picture: NDArray[np.uint8],
    centre: NDArray[np.float64],
    radius: float,
    colour: NDArray[np.int64],
    *,
    rings: bool,
) -> None:
    left, top = np.maximum(0, (centre - radius).astype(int))
    right, bottom = np.maximum(0, (centre + radius + 2).astype(int))
    part = picture[top:bottom, left:right]
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    across, down = np.abs(columns - centre[0]), np.abs(rows - centre[1])
    if rings:
        distance = np.hypot(across, down)
        part[(distance < radius) & (distance > radius * 0.6)] = colour
    else:
        part[np.maximum(across, down) < radius * 0.85] = colour


def write_actions(
    path: Path,
    actions: Sequence[Action],
    seed: int,
    count: int = 75,
    size_px: tuple[int, int] = SIZE_PX,
) -> Path:
    """A video of these actions, `count` frames each, spliced one after another."""
    rng = np.random.default_rng(seed)
    writer = VideoWriter(path, size_px)
    pictures = (picture for action in actions for picture in frames(action, count, rng, size_px))
    for number, picture in enumerate(pictures):
        writer.write(picture, Fraction(number, FPS))
    writer.close()
    return path


def write_folder(
    folder: Path,
    actions: Mapping[str, Action] = ACTIONS,
    clips: int = 10,
    count: int = 75,
    size_px: tuple[int, int] = SIZE_PX,
    seed: int = 0,
) -> Path:
    """A subfolder for each action with `clips` clips of it, no two alike."""
    for number, (name, action) in enumerate(actions.items()):
        (folder / name).mkdir(parents=True)
        for clip in range(clips):
            write_actions(
                folder / name / f"{clip}.mp4", [action], seed + 1000 * number + clip, count, size_px
            )
    return folder
