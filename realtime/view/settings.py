"""Settings that a viewer can change, named as on the command line."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import get_args

from engines.errors import UsageError
from engines.load import EngineOptions
from engines.spec import MODES, Mode, Streams
from realtime.recognizer import DEFAULT_STRIDE_TICKS
from realtime.stages.events import EventOptions
from realtime.stages.region import Region, parse_region

STREAMS: tuple[Streams, ...] = get_args(Streams)


@dataclass(frozen=True)
class Settings:
    """Settings of one recogniser. Validates itself, as a page may send anything."""

    mode: Mode = "preview"
    """Unlike the default elsewhere: in front of a camera, a prediction should appear while the action goes on."""
    streams: Streams = "auto"
    backend: str = "auto"
    precision: str | None = None
    stride: int = DEFAULT_STRIDE_TICKS
    """Ticks between windows; the other modes have a fixed stride."""
    smooth: int | None = None
    """Predictions that are averaged; None: the mode's own number."""
    on: float = EventOptions.on
    off: float = EventOptions.off
    min_event: float = EventOptions.min_length_s
    """Seconds."""
    region: Region = None
    watch: tuple[str, ...] = ()
    """Labels to choose from; empty: all."""
    several: bool = True
    """Not the default of `run`, where each action is a line more: here they are marks on the picture."""

    def __post_init__(self) -> None:
        _choice("mode", self.mode, MODES)
        _choice("streams", self.streams, STREAMS)
        _number("stride", self.stride, 1, 250)
        if self.smooth is not None:
            _number("smooth", self.smooth, 1, 100)
        _number("on", self.on, 0, 1)
        _number("off", self.off, 0, 1)
        _number("min-event", self.min_event, 0, 60)
        if self.off > self.on:
            raise UsageError(f"off {self.off} is above on {self.on}; it must be at most that")

    @property
    def engine(self) -> EngineOptions:
        """The options that determine which engines are needed."""
        return EngineOptions(self.backend, self.precision, self.mode, self.streams)


FIELDS = tuple(each.name for each in fields(Settings))
"""Names of the settings that a page sends."""


def from_page(given: Mapping[str, object]) -> Settings:
    """Settings from the page's fields. Raises UsageError, with what is allowed, for anything else."""
    if given.keys() != set(FIELDS):
        raise UsageError(f"settings are {', '.join(FIELDS)}, each by its name; load the page again")
    _choice("mode", given["mode"], MODES)
    _choice("streams", given["streams"], STREAMS)
    precision, watch = given["precision"], given["watch"]
    return Settings(
        mode=next(mode for mode in MODES if mode == given["mode"]),
        streams=next(streams for streams in STREAMS if streams == given["streams"]),
        backend=str(given["backend"]),
        precision=None if precision in (None, "auto") else str(precision),
        stride=int(_number("stride", given["stride"], 1, 250)),
        smooth=int(_number("smooth", given["smooth"], 0, 100)) or None,
        on=_number("on", given["on"], 0, 1),
        off=_number("off", given["off"], 0, 1),
        min_event=_number("min-event", given["min_event"], 0, 60),
        region=parse_region(str(given["region"] or "")),
        several=_flag("several", given["several"]),
        watch=tuple(str(label) for label in (watch if isinstance(watch, list | tuple) else [])),
    )


def _choice(name: str, given: object, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise UsageError(f"{name} cannot be {_short(given)}; choose one of {', '.join(allowed)}")


def _number(name: str, given: object, least: float, most: float) -> float:
    number = given if isinstance(given, int | float) else math.nan
    if not least <= number <= most:
        raise UsageError(f"{name} cannot be {_short(given)}; give a number from {least} to {most}")
    return float(number)


def _flag(name: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise UsageError(f"{name} cannot be {_short(given)}; choose true or false")
    return given


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "..."
