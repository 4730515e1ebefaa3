"""Cameras as devices of Home Assistant: what to retain at an MQTT broker, from the lines of the log.

homeassistant/device/ID/config       device discovery: a device for each source, with its entities
house/garden/camera                  online | offline: whether the source gives frames
house/garden/action                  the action that is going on, or none
house/garden/watched/LABEL           ON | OFF, for each label that --watch names
house/garden/zones/ZONE/action       the same for each zone, and zones/ZONE/watched/LABEL

An action goes on from the prediction with which its event begins to the one that ends it (`realtime.stages.events`),
only without waiting for the shortest length. Messages are as Home Assistant's documentation of MQTT discovery has them.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from realtime.outputs.log import Line, as_json, versions
from realtime.outputs.mqtt_topics import source_topic, topic_level, zone_topic

PREFIX = "homeassistant"
"""Where Home Assistant looks for devices unless it is configured otherwise."""
NONE, ON, OFF = "none", "ON", "OFF"
LONGEST_STATE = 255
"""Letters of a state that Home Assistant takes."""
ONLINE, OFFLINE = "online", "offline"
Message = tuple[str, str]
"""Topic and payload."""


@dataclass
class _Place:
    """The whole picture of a source, or a zone."""

    topic: str
    zone: str | None
    on: float
    off: float
    watched: tuple[str, ...]
    label: str | None = None
    """Of the action that goes on."""
    several: frozenset[str] = frozenset()
    """Labels of all actions in the picture."""


@dataclass
class _Device:
    """A source."""

    id: str
    name: str
    model: str
    topic: str
    session: Line
    """Its first line."""
    places: dict[str | None, _Place] = field(default_factory=dict)


class HomeAssistant:
    """Takes lines and gives the messages that change with them; each is to be retained."""

    def __init__(self, topic: str) -> None:
        """`topic`: under which the lines are published."""
        self._topic = topic
        self._devices: dict[str | None, _Device] = {}

    def messages(self, line: Line) -> list[Message]:
        """What a line changes."""
        kind, name = line["kind"], line.get("name")
        if kind == "session":
            device = self._devices[name] = self._device(line)
            place = device.places[None] = _place(device, None)
            return [self._config(device), (f"{device.topic}/camera", ONLINE), *_states(place)]
        device_or_none = self._devices.get(name)
        if device_or_none is None:
            return []
        device = device_or_none
        if kind == "prediction":
            return self._predicted(device, line) if line["settled"] else []
        if kind == "event":
            return _ended(device, line)
        if kind == "connection":
            ended = [] if line["up"] else [m for p in device.places.values() for m in _nothing(p)]
            return [(f"{device.topic}/camera", ONLINE if line["up"] else OFFLINE), *ended]
        if kind in ("gap", "summary"):
            places = [p for p in device.places.values() if line.get("zone") in (None, p.zone)]
            ended = [message for p in places for message in _nothing(p)]
            return [*ended, (f"{device.topic}/camera", OFFLINE)] if kind == "summary" else ended
        return []

    def _predicted(self, device: _Device, line: Line) -> list[Message]:
        zone = line.get("zone")
        out: list[Message] = []
        if zone not in device.places:
            device.places[zone] = _place(device, zone)
            out = [self._config(device), *_states(device.places[zone])]
        place = device.places[zone]
        before = dict(_states(place))
        place.label = _going_on(place, line["top"])
        place.several = frozenset(action["label"] for action in line.get("actions", ()))
        return out + [each for each in _states(place) if before[each[0]] != each[1]]

    def _device(self, line: Line) -> _Device:
        name = line.get("name")
        topic = source_topic(self._topic, name)
        number = hashlib.sha256(topic.encode()).hexdigest()[:8]
        shown = name or self._topic.rpartition("/")[2]
        words = re.sub(r"[^A-Za-z0-9]+", "_", shown).strip("_")[:40]
        return _Device(
            id="_".join(part for part in ("i3d_live", words, number) if part),
            name=shown,
            model=f"I3D {line['model']}",
            topic=topic,
            session=line,
        )

    def _config(self, device: _Device) -> Message:
        version = versions().get("i3d-live", "0")
        payload = {
            "device": {
                "identifiers": [device.id],
                "name": device.name,
                "manufacturer": "i3d-live",
                "model": device.model,
                "sw_version": version,
            },
            "origin": {"name": "i3d-live", "sw_version": version},
            "availability": [{"topic": f"{self._topic}/status"}, {"topic": f"{device.topic}/camera"}],
            "availability_mode": "all",
            "qos": 1,
            "components": {
                key: entity for place in device.places.values() for key, entity in _entities(device, place)
            },
        }
        return f"{PREFIX}/device/{device.id}/config", as_json(payload)


def _entities(device: _Device, place: _Place) -> Iterator[tuple[str, dict[str, Any]]]:
    """The components of a place, each by its key."""
    where = "" if place.zone is None else f"{place.zone}: "
    key = _key("action", place.zone or "")
    yield (
        key,
        {
            "platform": "sensor",
            "unique_id": f"{device.id}_{key}",
            "name": f"{where}action",
            "icon": "mdi:run",
            "state_topic": f"{place.topic}/action",
        },
    )
    for label in place.watched:
        key = _key("watched", place.zone or "", label)
        yield (
            key,
            {
                "platform": "binary_sensor",
                "unique_id": f"{device.id}_{key}",
                "name": f"{where}{label}",
                "icon": "mdi:run",
                "state_topic": f"{place.topic}/watched/{topic_level(label)}",
                "payload_on": ON,
                "payload_off": OFF,
            },
        )


def _key(what: str, *names: str) -> str:
    """The same at every start, and in letters and digits alone, whatever the names are."""
    return (
        f"{what}_{hashlib.sha256(as_json(names, 'ascii').encode()).hexdigest()[:8]}" if any(names) else what
    )


def _place(device: _Device, zone: str | None) -> _Place:
    """With the terms of the source, or with those of a zone that had its own from the start."""
    said = device.session.get("zones", {}).get(zone, device.session)
    events = said["events"]
    watched = tuple(said["watch"] or ())
    return _Place(zone_topic(device.topic, zone), zone, events["on"], events["off"], watched)


def _states(place: _Place) -> Iterator[Message]:
    yield f"{place.topic}/action", NONE if place.label is None else place.label[:LONGEST_STATE]
    for label in place.watched:
        on = label == place.label or label in place.several
        yield f"{place.topic}/watched/{topic_level(label)}", ON if on else OFF


def _nothing(place: _Place) -> Iterator[Message]:
    """No action goes on."""
    place.label, place.several = None, frozenset()
    yield from _states(place)


def _ended(device: _Device, line: Line) -> list[Message]:
    """An event that no prediction ended, such as one of a zone that is removed."""
    place = None if "id" in line else device.places.get(line.get("zone"))
    if place is None or place.label != line["label"]:
        return []
    before = dict(_states(place))
    place.label = None
    return [each for each in _states(place) if before[each[0]] != each[1]]


def _going_on(place: _Place, top: list[dict[str, Any]]) -> str | None:
    """The action that goes on after a prediction, as in `realtime.stages.events`."""
    label, first, leads = place.label, top[0], top[0]["probability"] >= place.on
    if label is not None and not (leads and first["label"] != label):
        probability = next((each["probability"] for each in top if each["label"] == label), 0.0)
        if probability >= place.off:
            return label
    return str(first["label"]) if leads else None
