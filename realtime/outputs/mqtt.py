"""The lines of the log as MQTT messages. The only file that imports paho.

mqtt://user:password@host:1883/house/garden      (mqtts:// with TLS)

house/garden/status                  online | offline, retained; offline also if this program is killed
house/garden/prediction              the contents of a log line of that kind, as JSON
house/garden/cam1/event              the same for sources with names; see `realtime.outputs.mqtt_topics`

What is retained is published again whenever the connection is back.
"""

import errno
import ssl
import threading
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from realtime.errors import OutputError, UsageError, reason_of
from realtime.outputs.home_assistant import HomeAssistant
from realtime.outputs.log import Line, as_json
from realtime.outputs.mqtt_topics import line_topic
from realtime.sources.address import masked
from realtime.worker_threads import Worker

PORTS = {"mqtt": 1883, "mqtts": 8883}
DEFAULT_TOPIC = "i3d-live"
START_LIMIT_S = 5.0
KEEP_ALIVE_S = 20
LONGEST_TOPIC_BYTES = 60_000
"""A topic may have 65535; names of sources and kinds of lines are added to it."""
MOST_WAITING = 1000
"""Event messages kept while the broker is unreachable. Predictions are not kept: they soon lose their value."""
LAST_WORDS_S = 2.0
DOWN = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)
"""Like a refused connection or no reply, these mean that the broker, or the route to it, is not up yet."""
FORMS = "mqtt://[user:password@]host[:port][/topic], or mqtts:// for TLS"
ESCAPES = "in a user name or password / # ? @ are written %2F %23 %3F %40"


class Mqtt:
    """Connects when created, or as soon as the broker is up, and reconnects if it disappears. A context manager."""

    def __init__(
        self, url: str, start_limit_s: float = START_LIMIT_S, *, home_assistant: bool = False
    ) -> None:
        """`home_assistant`: announce the sources to it, see `realtime.outputs.home_assistant`.

        Raises UsageError if `url` is not an MQTT address, OutputError if its host is unknown, or what listens there
        refuses or does not answer in time."""
        self._shown = masked(url)
        host, port, user, password, self._topic, tls = _parse(url)
        self.lost = 0
        """Messages discarded because the broker was unreachable; after `close`, also those still waiting."""
        self.waits_for: str | None = None
        """The message to show if the broker is down at the start."""
        self._events: set[int] = set()
        """Numbers of events that may not have arrived yet."""
        self._arrived: set[int] = set()
        """Numbers of messages that the broker has taken; filled by paho's thread."""
        self._home = HomeAssistant(self._topic) if home_assistant else None
        self._retained: dict[str, str] = {}
        """The newest message of each topic of Home Assistant's."""
        self._retaining = threading.Lock()
        self._answer = threading.Event()
        self._refused: str | None = None
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_connect, client.on_publish = self._on_connect, self._on_publish
        client.connect_timeout = start_limit_s
        client.max_queued_messages_set(MOST_WAITING)
        client.reconnect_delay_set(1, 30)
        client.will_set(f"{self._topic}/status", "offline", qos=1, retain=True)
        if user is not None:
            client.username_pw_set(user, password)
        if tls:
            client.tls_set()
        try:
            client.connect(host, port, KEEP_ALIVE_S)
        except ssl.SSLCertVerificationError as error:
            raise OutputError(
                f"{self._shown}: the certificate of the broker is not trusted: {error.verify_message}; for one of your own "
                "set SSL_CERT_FILE to its PEM file, and give the host by the name that stands in it"
            ) from error
        except ssl.SSLError as error:
            raise OutputError(
                f"{self._shown}: no TLS at that port; give the broker's port for TLS, {PORTS['mqtts']} as a rule, or mqtt://"
            ) from error
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            if not (isinstance(error, ConnectionError | TimeoutError) or getattr(error, "errno", 0) in DOWN):
                raise self._failed(reason) from error
            self.waits_for = f"{self._shown}: no MQTT broker yet: {reason.lower()}; waiting for it"
            client.connect_async(host, port, KEEP_ALIVE_S)
        self._worker = Worker(self._run)
        if self.waits_for is not None:
            return
        if not self._answer.wait(start_limit_s) or self._refused:
            reason = self._refused or "no answer in time"
            self._stop()
            raise self._failed(reason)

    @property
    def connected(self) -> bool:
        return bool(self._client.is_connected())

    def write(self, line: Line) -> None:
        """Publish a line of the log. Never waits."""
        kind = line["kind"]
        if self._home is not None:
            self._retain(dict(self._home.messages(line)))
        if kind != "event" and not self.connected:
            self.lost += 1
            return
        payload = as_json(line)
        sent = self._client.publish(line_topic(self._topic, line), payload, qos=1 if kind == "event" else 0)
        if sent.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            self.lost += 1
        elif kind == "event":
            self._events.add(sent.mid)
            self._settle()

    def close(self) -> None:
        """Send what is still queued, then disconnect."""
        goodbye = self._client.publish(f"{self._topic}/status", "offline", qos=1, retain=True)
        if self.connected and goodbye.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            goodbye.wait_for_publish(LAST_WORDS_S)
        self._stop()
        self._settle()
        self.lost += len(self._events)

    def __enter__(self) -> "Mqtt":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self) -> None:
        self._client.loop_forever(retry_first_connection=True)

    def _stop(self) -> None:
        self._client.disconnect()
        self._worker.join(timeout_s=5.0)

    def _retain(self, messages: dict[str, str]) -> None:
        """Without a connection they wait for it, but not in the client's queue, which is for events."""
        with self._retaining:
            self._retained |= messages
            if self.connected:
                for topic, payload in messages.items():
                    self._client.publish(topic, payload, qos=1, retain=True)

    def _settle(self) -> None:
        arrived = set(self._arrived)
        self._events -= arrived
        self._arrived -= arrived

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason: Any, properties: Any) -> None:
        self._arrived.add(mid)

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        if reason.is_failure:
            self._refused = str(reason).lower()
        else:
            client.publish(f"{self._topic}/status", "online", qos=1, retain=True)
            with self._retaining:
                for topic, payload in self._retained.items():
                    client.publish(topic, payload, qos=1, retain=True)
        self._answer.set()

    def _failed(self, reason: str) -> OutputError:
        return OutputError(f"{self._shown}: no MQTT broker that takes messages: {reason}; check the address")


def _parse(url: str) -> tuple[str, int, str | None, str | None, str, bool]:
    """(host, port, user, password, topic, TLS)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(
            f"{masked(url)}: not an address of an MQTT broker; give {FORMS}, a port from 1 to 65535; {ESCAPES}"
        ) from None
    topic = unquote(parts.path).strip("/") or DEFAULT_TOPIC
    if parts.scheme not in PORTS or not parts.hostname or parts.query or "#" in url or port == 0:
        raise UsageError(f"{masked(url)}: not an address of an MQTT broker; give {FORMS}; {ESCAPES}")
    if set(topic) & set("+#\0"):
        raise UsageError(
            f"{masked(url)}: + and # may not stand in a topic, %2B and %23 neither; give {FORMS}"
        )
    if len(topic.encode()) > LONGEST_TOPIC_BYTES:
        raise UsageError(
            f"{masked(url)[:80]}...: a topic may have {LONGEST_TOPIC_BYTES} bytes; give a shorter one"
        )
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return parts.hostname, port or PORTS[parts.scheme], user, password, topic, parts.scheme == "mqtts"
