"""Zones that change while a source runs: applied between two frames, in order, whichever thread asks."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from realtime.errors import UsageError
from realtime.recognizer import Output, Recognizer
from realtime.session import Session
from realtime.stages.live_zones import LiveZones
from realtime.types import Event, Prediction
from realtime.zones import MOST_ZONES, Zone, ZoneRemoved
from tests.realtime.stages.test_zone_predictions import BOTH, LEFT, RIGHT, clip, of_zone
from tests.realtime.test_many import Made
from tests.support.colours import SeesColours
from tests.support.doubles import exact

Change = Callable[[Recognizer], None]
ITEMS = clip((200, BOTH))


def run(zones: tuple[Zone, ...], changes: dict[int, Change]) -> list[list[Output]]:
    """Outputs of each push, and finally of the flush. `changes`: by the number of the frame that they come before."""
    found = Recognizer({"rgb": SeesColours()}, smooth=1, zones=zones)
    outputs = []
    for number, item in enumerate(ITEMS):
        changes.get(number, lambda recognizer: None)(found)
        outputs.append(found.push(item))
    return [*outputs, found.flush()]


def flat(outputs: list[list[Output]]) -> list[Output]:
    return [out for each in outputs for out in each]


def test_a_zone_that_is_put_before_the_first_frame_counts_from_the_start() -> None:
    late = flat(run((LEFT,), {0: lambda recognizer: recognizer.zones.put(RIGHT)}))
    assert exact(late) == exact(flat(run((LEFT, RIGHT), {})))


def test_a_zone_that_comes_later_changes_nothing_else() -> None:
    outputs = run((LEFT,), {100: lambda recognizer: recognizer.zones.put(RIGHT)})
    assert exact(flat(outputs[:100])) == exact(flat(run((LEFT,), {})[:100]))
    others = [out for out in flat(outputs) if getattr(out, "zone", None) != "right"]
    assert exact(others) == exact(flat(run((LEFT,), {})))
    predictions = of_zone(flat(outputs), RIGHT, Prediction)
    assert {p.label for p in predictions} == {"blue"}
    assert len(predictions) == sum(
        isinstance(out, Prediction) and out.zone is None for out in flat(outputs[100:])
    )
    (event,) = of_zone(flat(outputs), RIGHT, Event)
    assert (event.label, event.start_s, event.end_s) == ("blue", predictions[0].start_s, 8.0)


def test_the_event_of_a_zone_that_goes_or_moves_ends_with_the_next_frame() -> None:
    moved = Zone("left", RIGHT.x, RIGHT.y, RIGHT.width, RIGHT.height)

    def change(recognizer: Recognizer) -> None:
        recognizer.zones.remove("right")
        recognizer.zones.put(moved)
        assert recognizer.zones.now == (moved,)

    outputs = run((LEFT, RIGHT), {120: change})
    ended = [out for out in outputs[120] if isinstance(out, Event)]
    assert [(event.zone, event.label) for event in ended] == [("right", "blue"), ("left", "red")]
    assert ended[0].end_s == of_zone(flat(outputs[:120]), LEFT, Prediction)[-1].end_s
    assert of_zone(flat(outputs[120:]), RIGHT, Prediction) == []
    assert {p.label for p in of_zone(flat(outputs[121:]), LEFT, Prediction)} == {"blue"}


def test_the_same_zone_once_more_changes_nothing() -> None:
    outputs = run((LEFT, RIGHT), {120: lambda recognizer: recognizer.zones.put(LEFT)})
    assert exact(flat(outputs)) == exact(flat(run((LEFT, RIGHT), {})))


def test_a_bad_zone_is_refused_when_it_is_asked_for() -> None:
    found = Recognizer({"rgb": SeesColours()}, zones=(LEFT,))
    found.push(ITEMS[0])
    for zone, why in (
        (Zone("far", 200, 0, 100, 100), "zone far: it reaches to 300,100, out of the picture of 256x256 px"),
        (Zone("rim", 0, 0, 10, 10), "zone rim: the network sees nothing of it"),
        (Zone("Left", 16, 16, 96, 96), "zones 'left' and 'Left' cannot be told apart"),
    ):
        with pytest.raises(UsageError, match=why):
            found.zones.put(zone)
    with pytest.raises(UsageError, match="no zone 'right' to remove; name one of left"):
        found.zones.remove("right")
    assert (found.zones.now, found.zones.take()) == ((LEFT,), [])


def test_before_the_first_frame_only_names_are_checked() -> None:
    zones = LiveZones()
    zones.put(Zone("far", 200, 0, 100, 100))
    with pytest.raises(UsageError, match="no zone 'x' to remove; name one of far"):
        zones.remove("x")
    zones.remove("far")
    with pytest.raises(UsageError, match="there is none at all"):
        zones.remove("far")


def test_many_threads_may_change_zones() -> None:
    zones = LiveZones()
    names = [f"z{number}" for number in range(MOST_ZONES)]

    def change(mine: list[str]) -> None:
        for name in mine:
            zones.put(Zone(name, 1, 2, 3, 4))
            zones.put(Zone(name, 5, 6, 7, 8))
            if name.endswith("0"):
                zones.remove(name)

    threads = [Thread(target=change, args=(names[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {zone.name for zone in zones.now} == {name for name in names if not name.endswith("0")}
    left: dict[str, Zone] = {}
    for change_ in zones.take():
        if isinstance(change_, ZoneRemoved):
            del left[change_.name]
        else:
            left[change_.name] = change_
    assert sorted(left.values(), key=lambda zone: zone.name) == sorted(zones.now, key=lambda zone: zone.name)
    assert zones.take() == []


def test_a_recogniser_that_begins_takes_every_change_once() -> None:
    zones = LiveZones([LEFT])
    zones.put(RIGHT)
    zones.remove("left")
    assert zones.begin() == [RIGHT]
    assert zones.take() == []
    zones.put(LEFT)
    assert zones.take() == [LEFT]


def test_a_session_has_the_zones_of_its_recogniser_and_the_next_one_goes_on_with_them() -> None:
    zones, lines = LiveZones(), list[dict[str, Any]]()
    one, other = (Recognizer({"rgb": SeesColours()}, smooth=1, zones=zones) for _ in range(2))
    waiting: list[Recognizer] = []
    session = Session(Made([]), None, write=lines.append, renew=lambda: waiting.pop() if waiting else None)
    assert session.zones is None
    waiting.append(one)
    for number, item in enumerate(ITEMS):
        if number == 10:
            zones.put(RIGHT)
            zones.put(LEFT)
            zones.remove("right")
        if number == 120:
            waiting.append(other)
        session.push(item)
    assert session.zones is zones
    session.end("end of the video")
    events = [line for line in lines if line["kind"] == "event" and "zone" in line]
    assert [(line["zone"], line["label"]) for line in events] == [("left", "red")] * 2
