"""Named parts of a camera's picture: parsed and checked here, and placed once the size of the picture is known."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from realtime.errors import UsageError

MOST_ZONES = 64
LARGEST = 100_000
"""No number of a zone is as large."""
FORM = "x,y,width,height in px of the source or, each with %, in percent of the picture"
OWN_FORM = "NAME=x,y,width,height:own or NAME=x,y,width,height:model=MODEL"
LEAST_OWN_PX = 16
"""A smaller crop shows too little to recognise an action."""
_NUMBER = re.compile(r"\s*([0-9]{1,5}(?:\.[0-9]{1,4})?)\s*(%?)\s*")
_NAME = re.compile(r"\w[\w .-]{0,39}")


@dataclass(frozen=True)
class ZoneTerms:
    """How predictions and events of a zone are made; what is None is as for its camera."""

    on: float | None = None
    off: float | None = None
    min_event: float | None = None
    """As `realtime.stages.events.EventOptions`: probabilities, and seconds."""
    smooth: int | None = None
    """Predictions that are averaged."""
    watch: tuple[str, ...] | None = None
    """Labels to choose from."""


@dataclass(frozen=True)
class Zone:
    """A rectangle of the picture. Raises UsageError for an invalid name, number or size."""

    name: str
    x: float
    y: float
    width: float
    height: float
    """In px of the source as it stores its pictures, or in percent of their width and height."""
    percent: bool = False
    own: bool = False
    """Whether the network looks at it by itself, as at another camera; else it is read from the cells of the whole
    picture."""
    model: str | None = None
    """Of an own zone: the model that looks at it; None for that of the camera."""
    terms: ZoneTerms = ZoneTerms()

    def __post_init__(self) -> None:
        _check_name(self.name)
        x, y, width, height = self.x, self.y, self.width, self.height
        if not all(0 <= each < LARGEST for each in (x, y, width, height)):
            raise UsageError(f"zone {self.name}: {self.at} is no rectangle; give {FORM}")
        if not width or not height:
            raise UsageError(f"zone {self.name}: its width or height is 0; give {FORM}")
        if self.percent and (x + width > 100 or y + height > 100):
            raise UsageError(
                f"zone {self.name}: {self.at} reaches out of the picture; give at most 100% each way"
            )
        if self.model is not None and not self.own:
            raise UsageError(f"zone {self.name}: only an own zone has another model; give {OWN_FORM}")

    @property
    def at(self) -> str:
        """ "x,y,width,height" as in a flag."""
        sign = "%" if self.percent else ""
        return ",".join(f"{each:.10g}{sign}" for each in (self.x, self.y, self.width, self.height))

    def place(self, size_px: tuple[int, int]) -> tuple[int, int, int, int]:
        """x, y, width and height in a stored picture of (width, height) px; it may extend outside."""
        x, y, width, height = self.x, self.y, self.width, self.height
        if self.percent:
            x, width = (each * size_px[0] / 100 for each in (x, width))
            y, height = (each * size_px[1] / 100 for each in (y, height))
        left, top, right, bottom = (round(each) for each in (x, y, x + width, y + height))
        return left, top, right - left, bottom - top

    def in_px(self, size_px: tuple[int, int]) -> tuple[int, int, int, int]:
        """As `place`. Raises UsageError if it extends outside, or is too small."""
        left, top, width, height = self.place(size_px)
        right, bottom = left + width, top + height
        if right > size_px[0] or bottom > size_px[1]:
            raise UsageError(
                f"zone {self.name}: it reaches to {right},{bottom}, out of the picture of {size_px[0]}x{size_px[1]} px; "
                "make it smaller or give it in percent"
            )
        if not width or not height:
            raise UsageError(
                f"zone {self.name}: it is empty in a picture of {size_px[0]}x{size_px[1]} px; make it larger"
            )
        if self.own and min(width, height) < LEAST_OWN_PX:
            raise UsageError(
                f"zone {self.name}: {width}x{height} px show too little; an own zone has at least {LEAST_OWN_PX} px each way"
            )
        return left, top, width, height


@dataclass(frozen=True)
class ZoneRemoved:
    """The zone of this name is gone."""

    name: str


def parse_zone(name: str, text: str, terms: ZoneTerms = ZoneTerms()) -> Zone:
    """A zone from its name and "x,y,width,height", perhaps followed by ":own" or ":model=NAME" or both.

    Raises UsageError for an invalid name, number or size.
    """
    _check_name(name)
    at, *marks = text.split(":")
    models = [mark.removeprefix("model=").strip() for mark in marks if mark.startswith("model=")]
    if len(models) > 1 or "" in models or set(marks) - {"own"} - {f"model={model}" for model in models}:
        raise UsageError(f"zone {name}: {text[:60]!r} is not understood; give {OWN_FORM}")
    found = [_NUMBER.fullmatch(part) for part in at.split(",")]
    numbers = [(float(match[1]), match[2]) for match in found if match]
    if len(found) != 4 or len(numbers) != 4 or len({sign for _, sign in numbers}) != 1:
        raise UsageError(f"zone {name}: {at[:60]!r} is no rectangle; give {FORM}")
    (x, sign), (y, _), (width, _), (height, _) = numbers
    model = models[0] if models else None
    return Zone(name, x, y, width, height, bool(sign), bool(marks), model, terms)


def check_names(zones: Sequence[str]) -> None:
    """Raises UsageError for too many zones, and for names that differ only in case or spaces."""
    if len(zones) > MOST_ZONES:
        raise UsageError(f"{len(zones)} zones, and a camera has at most {MOST_ZONES}; leave some out")
    seen: dict[str, str] = {}
    for name in zones:
        plain = " ".join(name.casefold().split())
        if plain in seen:
            raise UsageError(
                f"zones {seen[plain]!r} and {name!r} cannot be told apart; give each its own name"
            )
        seen[plain] = name


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"zone {name[:60]!r}: give a name of at most 40 letters, digits, spaces, '.', '_' and '-'"
        )
