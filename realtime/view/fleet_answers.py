"""What pages ask of a fleet: each question is passed on once for all of them, and not before the last is answered."""

import asyncio
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime.errors import I3DLiveError
from realtime.view.fleet_state import page_state
from realtime.view.shared_answer import SharedAnswer

STATE_FRESH_S = PICTURE_FRESH_S = 0.8
"""Pages ask once a second."""
NO_PICTURE_FRESH_S = 3.0
"""A camera without a picture, or whose machine is silent, is asked less often."""
ANSWER_WITHIN_S = 8.0
PICTURES_AT_ONCE = 4
"""Half of the calls that the supervisor takes at the same time."""


class Fleet(Protocol):
    """The cameras that are watched. Both calls may block for a few seconds."""

    def status(self) -> Mapping[str, Any]:
        """Nodes and cameras, as the supervisor tells them. Raises I3DLiveError if the fleet does not answer."""

    def thumbnail(self, name: str) -> bytes | None:
        """The newest picture of a camera, as JPEG; None if there is none."""


@dataclass(frozen=True)
class State:
    """Of the fleet, as the page gets it."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Of the cameras, by key."""
    plain: bytes = b""
    """JSON."""
    packed: bytes = b""
    """The same, gzip."""
    problem: str | None = None
    """Why there is none."""


class FleetAnswers:
    """Used from one event loop."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._state = SharedAnswer(self._fetch_state, lambda _: STATE_FRESH_S)
        self._newest = State(problem="the fleet has not been asked yet")
        self._turns = asyncio.Semaphore(PICTURES_AT_ONCE)
        self._pictures: dict[str, SharedAnswer[bytes | None]] = {}

    async def state(self) -> State:
        """Not older than a second, or why it is not known."""
        try:
            found = await self._state.get(ANSWER_WITHIN_S)
        except TimeoutError:
            found = State(
                problem=f"the fleet has not answered for {ANSWER_WITHIN_S:.0f} s; see whether its head is running"
            )
        if found is not self._newest:
            self._newest = found
            self._pictures = {key: each for key, each in self._pictures.items() if key in found.names}
        return found

    async def picture(self, key: str) -> bytes | None:
        """JPEG; None while there is none, or the fleet does not answer. Raises KeyError for an unknown camera."""
        newest = self._newest
        if newest.problem is not None:
            newest = await self.state()
        if newest.problem is not None:
            return None
        name = newest.names[key]
        if key not in self._pictures:
            self._pictures[key] = SharedAnswer(
                lambda: self._fleet.thumbnail(name),
                lambda found: NO_PICTURE_FRESH_S if found is None else PICTURE_FRESH_S,
                turns=self._turns,
            )
        try:
            return await self._pictures[key].get(ANSWER_WITHIN_S)
        except TimeoutError:
            return None

    def _fetch_state(self) -> State:
        try:
            told = page_state(self._fleet.status())
        except I3DLiveError as error:
            return State(problem=str(error))
        plain = json.dumps(told, separators=(",", ":")).encode()
        names = {each["key"]: each["name"] for each in told["cameras"]}
        return State(names, plain, gzip.compress(plain, 4))
