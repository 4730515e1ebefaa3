"""Sources that waited for an engine to be built: old pictures in their buffers are not taken for new ones."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from realtime.commands.run import without_old_pictures
from realtime.commands.sources import Opened


@dataclass
class Source:
    """A double: counts how often it was opened, and is its own video."""

    live: bool = True
    opened: int = 1
    keep_packets: bool = True
    closed: list[int] = field(default_factory=list)

    def open(self, *, may_be_away: bool, keep_packets: bool) -> "Source":
        assert not may_be_away
        return Source(self.live, self.opened + 1, keep_packets)

    def close(self) -> None:
        self.closed.append(self.opened)


@pytest.mark.parametrize(
    ("kind", "live", "times"),
    [
        ("http", True, 2),
        ("rtsp", True, 2),
        ("webcam", True, 2),
        ("stdin", True, 1),
        ("http", False, 1),
        ("file", False, 1),
    ],
)
def test_live_sources_are_opened_again_where_possible(kind: Any, live: bool, times: int) -> None:
    source = Source(live)
    after = without_old_pictures(Opened(cast(Any, source), kind, cast(Any, source)), keep_packets=True)
    assert cast(Any, after.video).opened == times
    assert cast(Any, after.video).keep_packets
    assert source.closed == ([1] if times == 2 else []), "two connections at a time"
