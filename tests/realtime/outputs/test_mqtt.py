"""Messages through a real broker: what a subscriber gets, the last will, and that nothing waits for a broker that is
away."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from realtime.errors import OutputError, UsageError
from realtime.outputs.log import Line
from realtime.outputs.mqtt import Mqtt
from realtime.outputs.mqtt_topics import line_topic, topic_level
from tests.conftest import ROOT
from tests.realtime.test_many import STEP, run_double
from tests.support.made_clips import every, write_clip
from tests.support.packages import need
from tests.support.servers import free_port, silent_server

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
PREDICTION: Line = {"kind": "prediction", "tick": 64, "label": "tai chi", "probability": 0.9}
EVENT: Line = {
    "kind": "event",
    "name": "cam1",
    "label": "tai chi",
    "start_s": 1.0,
    "end_s": 2.0,
    "probability": 0.9,
}


class Broker:
    """A mosquitto for one test, with a user or open to all. It remembers its subscribers across a restart."""

    def __init__(self, folder: Path, user: str | None = None) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        door = "allow_anonymous true"
        if user:
            name, password = user.split(":")
            passwords = folder / "passwords"
            passwords.touch(mode=0o600)
            subprocess.run(
                ["mosquitto_passwd", "-b", str(passwords), name, password], check=True, capture_output=True
            )
            door = f"password_file {passwords}"
        own = f"user {os.environ.get('USER', 'root')}"
        keeps = f"persistence true\npersistence_location {folder}/"
        self._config.write_text(f"listener {self.port} 127.0.0.1\n{door}\n{own}\n{keeps}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert time.monotonic() < until, "mosquitto did not start"
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


class Subscriber:
    """Receives all messages, including retained ones, as (topic, payload)."""

    def __init__(self, port: int, user: str | None = None, name: str = "") -> None:
        """`name`: the broker keeps under it what the subscriber misses."""
        self.heard: queue.Queue[tuple[str, str]] = queue.Queue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=not name)
        self._client.on_message = lambda client, data, message: self.heard.put(
            (message.topic, message.payload.decode())
        )
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        hears = threading.Event()
        self._client.on_subscribe = lambda *_: hears.set()
        self._client.reconnect_delay_set(1, 1)
        if user:
            self._client.username_pw_set(*user.split(":"))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert hears.wait(20), "the broker does not let us subscribe"

    def wait_for(self, topic: str, payload: str | None = None) -> list[tuple[str, str]]:
        """All that was received up to this message."""
        found = []
        while not found or found[-1][0] != topic or payload not in (None, found[-1][1]):
            found.append(self.heard.get(timeout=30))
        return found

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    need(MOSQUITTO, "mosquitto")
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def subscriber(broker: Broker) -> Iterator[Subscriber]:
    made = Subscriber(broker.port, name="listener")
    yield made
    made.close()


def test_lines_are_messages_under_the_topic_and_the_name(broker: Broker, subscriber: Subscriber) -> None:
    with Mqtt(f"mqtt://127.0.0.1:{broker.port}/house/garden/") as mqtt:
        mqtt.write(PREDICTION)
        mqtt.write(EVENT)
    heard = subscriber.wait_for("house/garden/status", "offline")
    predictions = [payload for topic, payload in heard if topic == "house/garden/prediction"]
    assert [json.loads(payload) for payload in predictions] == [PREDICTION]
    # A broker keeps the order of messages with the same quality of service; predictions have another one.
    status, event, goodbye = (message for message in heard if message[0] != "house/garden/prediction")
    assert status == ("house/garden/status", "online")
    assert (event[0], json.loads(event[1])) == ("house/garden/cam1/event", EVENT)
    assert goodbye == ("house/garden/status", "offline")
    assert mqtt.lost == 0


def test_wildcards_in_names_are_replaced(broker: Broker, subscriber: Subscriber) -> None:
    with Mqtt(f"mqtt://127.0.0.1:{broker.port}") as mqtt:
        mqtt.write(EVENT | {"name": "a+b#c/ä"})
    assert subscriber.wait_for("i3d-live/a_b_c_ä/event")


def test_status_is_retained_for_later_subscribers(broker: Broker) -> None:
    with Mqtt(f"mqtt://127.0.0.1:{broker.port}/x"):
        late = Subscriber(broker.port)
        assert late.wait_for("x/status") == [("x/status", "online")]
        late.close()


def test_a_broker_with_a_password_takes_only_the_right_one(tmp_path: Path) -> None:
    need(MOSQUITTO, "mosquitto")
    broker = Broker(tmp_path, user="me:geheim")
    broker.start()
    subscriber = Subscriber(broker.port, user="me:geheim")
    try:
        with Mqtt(f"mqtt://me:geheim@127.0.0.1:{broker.port}/x") as mqtt:
            mqtt.write(EVENT)
        subscriber.wait_for("x/cam1/event")
        for user in ("me:wrong-geheim@", "", "other:geheim@"):
            with pytest.raises(OutputError, match="not authorized") as raised:
                Mqtt(f"mqtt://{user}127.0.0.1:{broker.port}/x")
            assert "geheim" not in str(raised.value)
    finally:
        subscriber.close()
        broker.stop()


def test_a_broker_that_goes_away_holds_up_nothing_and_gets_the_events_later(
    broker: Broker, subscriber: Subscriber
) -> None:
    with Mqtt(f"mqtt://127.0.0.1:{broker.port}/x") as mqtt:
        mqtt.write(PREDICTION)
        subscriber.wait_for("x/prediction")
        broker.stop()
        while mqtt.connected:
            time.sleep(0.01)
        start_s = time.monotonic()
        for number in range(50):
            mqtt.write(PREDICTION)
            mqtt.write(EVENT | {"start_s": number})
        assert time.monotonic() - start_s < 5  # no write waits for the broker
        assert mqtt.lost == 50
        broker.start()
        heard = subscriber.wait_for("x/cam1/event", json.dumps(EVENT | {"start_s": 49}))
    events = [json.loads(payload)["start_s"] for topic, payload in heard if topic.endswith("event")]
    assert sorted(set(events)) == list(range(50))
    assert ("x/status", "online") in heard


def test_killed_its_last_will_says_that_it_is_offline(
    broker: Broker, subscriber: Subscriber, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 3000))
    process = run_double("run", f"a={clip}", "--mqtt", f"mqtt://127.0.0.1:{broker.port}/x", cwd=tmp_path)
    heard = subscriber.wait_for("x/a/prediction")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert {"x/status", "x/a/session", "x/a/prediction"} <= {topic for topic, _ in heard}
    subscriber.wait_for("x/status", "offline")


@pytest.mark.parametrize(
    "url",
    [
        "http://h/x",
        "mqtt://",
        "mqtt://h:port/x",
        "mqtt://h/a/#",
        "mqtt://h/+/b",
        "mqtt://me:geheim@h/x?y=1",
        "h/x",
        "mqtt://h/a/%23",
        "mqtt://h/%2B/b",
        "mqtt://h:99999/x",
        "mqtt://h:0/x",
        "mqtt://me:ge/heim@h/x",
        "mqtt://me:ge#heim@h/x",
    ],
)
def test_a_bad_address_of_a_broker_is_a_wrong_call(url: str) -> None:
    with pytest.raises(UsageError, match="mqtt://") as raised:
        Mqtt(url)
    assert "geheim" not in str(raised.value)
    assert "heim" not in str(raised.value)


def test_a_topic_that_is_too_long_is_a_wrong_call() -> None:
    with pytest.raises(UsageError, match="give a shorter one") as raised:
        Mqtt("mqtt://me:geheim@h/" + "a" * 70_000)
    assert len(str(raised.value)) < 200


def test_a_broker_that_is_down_at_the_start_is_waited_for(tmp_path: Path) -> None:
    need(MOSQUITTO, "mosquitto")
    broker = Broker(tmp_path)
    with Mqtt(f"mqtt://me:geheim@127.0.0.1:{broker.port}/x") as mqtt:
        assert mqtt.waits_for is not None
        assert "refused" in mqtt.waits_for
        assert "geheim" not in mqtt.waits_for
        mqtt.write(EVENT)
        mqtt.write(PREDICTION)
        assert mqtt.lost == 1
        broker.start()
        subscriber = Subscriber(broker.port)
        try:
            subscriber.wait_for(
                "x/status", "online"
            )  # retained: the event may arrive before the subscriber does
        finally:
            subscriber.close()
    broker.stop()
    assert mqtt.lost == 1, "the event was acknowledged"


def test_events_that_reach_no_broker_are_counted() -> None:
    with Mqtt(f"mqtt://127.0.0.1:{free_port()}/x") as mqtt:
        mqtt.write(EVENT)
        mqtt.write(EVENT)
    assert mqtt.lost == 2


def test_a_host_that_cannot_be_resolved_is_an_error() -> None:
    with pytest.raises(OutputError, match=r"resolve|known"):
        Mqtt("mqtt://me:geheim@no-such-host.invalid/x")


def test_a_silent_server_is_given_up() -> None:
    with silent_server() as port, pytest.raises(OutputError, match="no answer"):
        Mqtt(f"mqtt://127.0.0.1:{port}/x", start_limit_s=0.3)


@pytest.mark.parametrize(
    ("line", "topic"),
    [
        (PREDICTION, "t/prediction"),
        (PREDICTION | {"zone": "left side"}, "t/zones/left side/prediction"),
        (EVENT, "t/cam1/event"),
        (EVENT | {"zone": "door"}, "t/cam1/zones/door/event"),
        (EVENT | {"id": 3}, "t/cam1/actions/event"),
        (PREDICTION | {"actions": []}, "t/prediction"),
    ],
)
def test_parts_of_the_picture_have_topics_of_their_own(line: Line, topic: str) -> None:
    assert line_topic("t", line) == topic


def test_who_listens_to_the_whole_picture_hears_nothing_of_its_parts(
    broker: Broker, subscriber: Subscriber
) -> None:
    with Mqtt(f"mqtt://127.0.0.1:{broker.port}/x") as mqtt:
        for line in (EVENT | {"zone": "door"}, EVENT | {"id": 1}, EVENT):
            mqtt.write(line)
        heard = subscriber.wait_for("x/cam1/event")
    assert [topic for topic, _ in heard if topic.endswith("event")] == [
        "x/cam1/zones/door/event",
        "x/cam1/actions/event",
        "x/cam1/event",
    ]


def test_importing_the_command_line_imports_neither_client() -> None:
    code = "import sys, realtime.cli; print([m for m in ('paho', 'prometheus_client') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "level"),
    [("cam1", "cam1"), ("/a/b.mp4", "a_b.mp4"), ("rtsp://***@cam/x", "rtsp:_***@cam_x"), ("a+b#c", "a_b_c")],
)
def test_a_source_is_one_level_of_the_topic(name: str, level: str) -> None:
    assert topic_level(name) == level
