"""A small picture of each event, from its most probable moment, with the place of the action in it.

An event is known when it is over, and its most probable moment may be long past. So frames of the last seconds are kept
small; when a settled prediction names a label, the frame of its time is kept for that label, if it is the likeliest
yet; and when an event ends, the likeliest of its time is its picture. All of this is bounded, however long the run.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from realtime.recognizer import Output
from realtime.stages.inputs import picture_of
from realtime.stages.where import upright
from realtime.types import Box, Event, Frame, Image, Picture, Prediction

LARGEST_PX = (200, 84)
"""Width and height of a picture, at most."""
EVERY_S, RECENT = 0.2, 60
"""Time between two frames that are kept, and how many are."""
MOST_LABELS, MOST_MOMENTS, MOST_PICTURES = 32, 4, 24
"""Labels for which moments are kept, moments of each, and pictures of events: the longest events have theirs."""

Subject = tuple[str | None, int | None, str]
"""Zone, number and label: what an event is of."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """The picture of an event."""

    event: Event
    time_s: float
    """Media time of its most probable moment, seconds."""
    rgb: Image
    """uint8 (h, w, 3), upright, at most `LARGEST_PX`."""
    box: Box | None
    """Where the action is, in px of `rgb`: the event's mean box."""


@dataclass(frozen=True, eq=False)
class _Still:
    time_s: float
    rgb: Image
    picture: Picture
    """The frame that it was made from."""


@dataclass(frozen=True, eq=False)
class _Moment:
    probability: float
    time_s: float
    still: _Still


class Thumbnails:
    """Takes frames, each followed by the outputs for it."""

    def __init__(self) -> None:
        self.of_events: list[Thumbnail] = []
        """In the order in which the events ended; at most `MOST_PICTURES`."""
        self._recent: deque[_Still] = deque(maxlen=RECENT)
        self._moments: dict[Subject, deque[_Moment]] = {}
        """By subject, the least recently seen one first; of each, the later the less probable."""

    def push(self, item: Frame | Output) -> None:
        """The next frame or output."""
        if isinstance(item, Frame):
            time_s = float(item.pts)
            if not self._recent or not 0 <= time_s - self._recent[-1].time_s < EVERY_S:
                self._recent.append(_Still(time_s, _small(item.rgb), picture_of(item)))
        elif isinstance(item, Prediction):
            if item.settled and self._recent:
                time_s = (item.start_s + item.end_s) / 2
                still = min(self._recent, key=lambda still: abs(still.time_s - time_s))
                for subject, probability in _said(item):
                    self._keep(subject, _Moment(probability, time_s, still))
        elif isinstance(item, Event):
            self._end(item)

    def _keep(self, subject: Subject, moment: _Moment) -> None:
        moments = self._moments.pop(subject, deque(maxlen=MOST_MOMENTS))
        while moments and moments[-1].probability <= moment.probability:
            moments.pop()
        moments.append(moment)
        self._moments[subject] = moments
        if len(self._moments) > MOST_LABELS:
            del self._moments[next(iter(self._moments))]

    def _end(self, event: Event) -> None:
        moments = self._moments.pop((event.zone, event.id, event.label), deque())
        during = [each for each in moments if event.start_s <= each.time_s <= event.end_s]
        if not during:
            return
        best = during[0]
        box = _scaled(event.where, best.still)
        self.of_events.append(Thumbnail(event, best.time_s, best.still.rgb, box))
        if len(self.of_events) > MOST_PICTURES:
            self.of_events.remove(min(self.of_events, key=lambda each: length_s(each.event)))


def length_s(event: Event) -> float:
    return event.end_s - event.start_s


def _said(prediction: Prediction) -> Iterator[tuple[Subject, float]]:
    """The label that leads, and each of several actions."""
    yield (prediction.zone, None, prediction.label), prediction.probability
    for action in prediction.actions or ():
        yield (None, action.id, action.label), action.probability


def _small(rgb: Image) -> Image:
    import cv2

    height, width = rgb.shape[:2]
    scale = min(1.0, LARGEST_PX[0] / width, LARGEST_PX[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _scaled(where: Box | None, still: _Still) -> Box | None:
    """A box of the stored picture in px of the small one."""
    if where is None:
        return None
    x, y, width, height = upright(where, still.picture)
    down, across = (
        small / whole for small, whole in zip(still.rgb.shape, still.picture.size_px, strict=False)
    )
    return (x * across, y * down, width * across, height * down)
