"""Home Assistant: what a real broker keeps for it, from lines like those of a real run."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from engines.load import Engines
from realtime.outputs.home_assistant import HomeAssistant
from realtime.outputs.log import Line
from realtime.outputs.mqtt import Mqtt
from tests.realtime.outputs.test_mqtt import Broker, Subscriber, broker, subscriber  # noqa: F401
from tests.realtime.test_many import STEP, run_double
from tests.support.colours import SeesColours
from tests.support.command_line import Doubles, invoke_with
from tests.support.made_clips import every, write_clip

EVENTS = {"on": 0.5, "off": 0.3, "min_length_s": 0.5}
SESSION: Line = {"kind": "session", "name": "door", "model": "kinetics", "watch": None, "events": EVENTS}


def predicted(*top: tuple[str, float], **more: Any) -> Line:
    ranked = [{"label": label, "probability": probability} for label, probability in top]
    return {"kind": "prediction", "name": "door", "settled": True, "top": ranked} | more


def config(messages: list[tuple[str, str]]) -> tuple[str, dict[str, Any]]:
    """Topic and payload of the device."""
    ((topic, payload),) = [each for each in messages if each[0].startswith("homeassistant/")]
    return topic, json.loads(payload)


def states(home: HomeAssistant, *lines: Line) -> list[tuple[str, str]]:
    """What the lines change of the states."""
    return [
        message for line in lines for message in home.messages(line) if not message[0].startswith("homeassistant/")
    ]  # fmt: skip


def test_a_camera_is_a_device_as_the_documentation_asks_for() -> None:
    topic, payload = config(HomeAssistant("house").messages(SESSION | {"watch": ["tai chi", "yoga"]}))
    prefix, kind, number, last = topic.split("/")
    assert (prefix, kind, last) == ("homeassistant", "device", "config")
    assert payload["device"]["identifiers"] == [number]
    assert payload["device"]["name"] == "door"
    assert payload["origin"]["name"] == "i3d-live"
    assert payload["availability_mode"] == "all"
    assert payload["availability"] == [{"topic": "house/status"}, {"topic": "house/door/camera"}]
    found = {each["name"]: each for each in payload["components"].values()}
    assert {name: each["platform"] for name, each in found.items()} == {
        "action": "sensor", "tai chi": "binary_sensor", "yoga": "binary_sensor",
    }  # fmt: skip
    assert found["action"]["state_topic"] == "house/door/action"
    assert found["tai chi"]["state_topic"] == "house/door/watched/tai chi"
    assert (found["yoga"]["payload_on"], found["yoga"]["payload_off"]) == ("ON", "OFF")


def test_the_ids_are_the_same_at_every_start_and_in_plain_letters() -> None:
    names = ["door", "Tür", "戸口", "a+b#c", "a_b_c"]
    made = [
        config(HomeAssistant("house").messages(SESSION | {"name": name, "watch": ["yoga", "瑜伽", 'a"b']}))
        for name in names
    ]
    again = [
        config(HomeAssistant("house").messages(SESSION | {"name": name, "watch": ["yoga", "瑜伽", 'a"b']}))
        for name in names
    ]
    assert made == again
    assert len({topic for topic, _ in made}) >= len(names) - 1  # the last two share their topics anyway
    for topic, payload in made:
        ids = [
            topic.split("/")[2],
            *payload["components"],
            *(c["unique_id"] for c in payload["components"].values()),
        ]
        assert all(each.replace("_", "").isalnum() and each.isascii() for each in ids)  # fmt: skip
        assert len(set(ids)) == len(ids)


def test_an_action_goes_on_as_its_event_does() -> None:
    home = HomeAssistant("house")
    assert states(home, SESSION) == [("house/door/camera", "online"), ("house/door/action", "none")]
    told = [
        (predicted(("yoga", 0.4)), []),
        (predicted(("yoga", 0.6)), ["yoga"]),
        (predicted(("yoga", 0.5), ("lunge", 0.4)), []),
        (predicted(("lunge", 0.45), ("yoga", 0.31)), []),
        (predicted(("lunge", 0.6), ("yoga", 0.4)), ["lunge"]),
        (predicted(("yoga", 0.7), settled=False), []),
        (predicted(("yoga", 0.4), ("lunge", 0.29)), ["none"]),
        (predicted(("yoga", 0.9)), ["yoga"]),
        ({"kind": "gap", "name": "door"}, ["none"]),
    ]
    assert [states(home, line) for line, _ in told] == [
        [("house/door/action", label) for label in labels] for _, labels in told
    ]


def test_watched_labels_are_on_while_their_action_goes_on_anywhere_in_the_picture() -> None:
    home = HomeAssistant("house")
    states(home, SESSION | {"watch": ["yoga", "lunge"]})
    several = [{"label": "lunge", "probability": 0.4, "id": 1, "where": None}]
    assert states(home, predicted(("yoga", 0.9), actions=several)) == [
        ("house/door/action", "yoga"),
        ("house/door/watched/yoga", "ON"),
        ("house/door/watched/lunge", "ON"),
    ]
    assert states(home, predicted(("yoga", 0.1), ("lunge", 0.1), actions=[])) == [
        ("house/door/action", "none"),
        ("house/door/watched/yoga", "OFF"),
        ("house/door/watched/lunge", "OFF"),
    ]


def test_zones_have_entities_of_their_own_from_their_first_prediction_on() -> None:
    home = HomeAssistant("house")
    home.messages(SESSION | {"watch": ["yoga"]})
    messages = home.messages(predicted(("yoga", 0.9), zone="left side"))
    names = {each["name"]: each["state_topic"] for each in config(messages)[1]["components"].values()}
    assert names == {
        "action": "house/door/action",
        "yoga": "house/door/watched/yoga",
        "left side: action": "house/door/zones/left side/action",
        "left side: yoga": "house/door/zones/left side/watched/yoga",
    }
    assert messages[-2:] == [
        ("house/door/zones/left side/action", "yoga"),
        ("house/door/zones/left side/watched/yoga", "ON"),
    ]
    event = {"kind": "event", "name": "door", "label": "yoga", "zone": "left side"}
    assert states(home, event) == [  # the zone was removed
        ("house/door/zones/left side/action", "none"),
        ("house/door/zones/left side/watched/yoga", "OFF"),
    ]


def test_a_zone_with_terms_of_its_own_has_its_own_labels_and_thresholds() -> None:
    own = {"watch": ["lunge"], "events": EVENTS | {"on": 0.9}}
    home = HomeAssistant("house")
    home.messages(SESSION | {"watch": ["yoga"], "zones": {"gate": own}})
    assert states(home, predicted(("lunge", 0.8), zone="gate")) == [
        ("house/door/zones/gate/action", "none"),
        ("house/door/zones/gate/watched/lunge", "OFF"),
    ]
    assert states(home, predicted(("lunge", 0.95), zone="gate"))[-1][1] == "ON"


def test_a_gap_of_a_zone_leaves_the_whole_picture_as_it_is() -> None:
    home = HomeAssistant("house")
    states(home, SESSION, predicted(("yoga", 0.9)), predicted(("yoga", 0.9), zone="gate"))
    gap = {"kind": "gap", "name": "door", "zone": "gate"}
    assert states(home, gap) == [("house/door/zones/gate/action", "none")]
    assert states(home, {"kind": "gap", "name": "door"})[0] == ("house/door/action", "none")


def test_a_lost_camera_is_unavailable_and_one_that_ends_too() -> None:
    home = HomeAssistant("house")
    states(home, SESSION, predicted(("yoga", 0.9)))
    lost = {"kind": "connection", "name": "door", "up": False}
    assert states(home, lost) == [("house/door/camera", "offline"), ("house/door/action", "none")]
    assert states(home, lost | {"up": True}) == [("house/door/camera", "online")]
    ended = states(home, {"kind": "summary", "name": "door"})
    assert ended == [("house/door/action", "none"), ("house/door/camera", "offline")]


def test_the_broker_keeps_config_and_states_for_who_comes_later(
    broker: Broker, subscriber: Subscriber  # noqa: F811
) -> None:  # fmt: skip
    with Mqtt(f"mqtt://127.0.0.1:{broker.port}/house", home_assistant=True) as mqtt:
        mqtt.write(SESSION)
        mqtt.write(predicted(("yoga", 0.9)))
        subscriber.wait_for("house/door/action", "yoga")
        late = Subscriber(broker.port)
        kept = dict(late.heard.get(timeout=30) for _ in range(4))
        late.close()
    assert kept["house/door/action"] == "yoga"
    assert kept["house/door/camera"] == "online"
    assert sum(topic.startswith("homeassistant/device/i3d_live_door_") for topic in kept) == 1


def test_a_broker_that_forgets_is_told_again(broker: Broker, tmp_path: Path) -> None:  # noqa: F811
    with Mqtt(f"mqtt://127.0.0.1:{broker.port}/house", home_assistant=True) as mqtt:
        mqtt.write(SESSION)
        broker.stop()
        (tmp_path / "mosquitto.db").unlink(missing_ok=True)
        mqtt.write(predicted(("yoga", 0.9)))
        for _ in range(2000):  # more than the client would keep for events
            mqtt.write(predicted(("lunge", 0.9)))
            mqtt.write(predicted(("yoga", 0.9)))
        broker.start()
        late = Subscriber(broker.port)
        late.wait_for("house/door/action", "yoga")
        late.close()


def test_a_run_announces_itself_and_killed_it_is_unavailable(
    broker: Broker, subscriber: Subscriber, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 3000))
    url = f"mqtt://127.0.0.1:{broker.port}/x"
    process = run_double("run", f"a={clip}", "--mqtt", url, "--home-assistant", cwd=tmp_path)
    heard = dict(subscriber.wait_for("x/a/prediction"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, payload = config([each for each in heard.items() if each[0].startswith("homeassistant/")])
    assert payload["device"]["model"] == "I3D made"
    assert heard["x/a/camera"] == "online"
    subscriber.wait_for("x/status", "offline")


def test_without_a_broker_it_is_a_wrong_call(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    invoke = invoke_with(capsys, Doubles(Engines(SeesColours(), None, "double")))
    code, _, err = invoke("run", "x.mp4", "--home-assistant")
    assert code == 2
    assert "give --mqtt URL too" in err
    site = tmp_path / "site.toml"
    site.write_text('[[camera]]\nname = "a"\naddress = "x.mp4"\n[output]\nhome_assistant = true\n')
    code, _, err = invoke("site", "check", site)
    assert (code, err.count("give --mqtt URL too")) == (2, 1)
    assert "line 5" in err
