"""Figures of a running program for Prometheus, and a health report. The only file that imports prometheus_client.

GET /metrics    counters and gauges in Prometheus' text format, read from the sessions on request
GET /health     200 while every source delivers frames, 503 otherwise; JSON says what is wrong with which source
/zones          with a token, see `realtime.outputs.zone_requests`
"""

import socket
import socketserver
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime.clock import ENGINE_STAGES
from realtime.errors import OutputError, UsageError
from realtime.outputs.log import Line
from realtime.outputs.zone_requests import Answer, ZoneRequests, json_answer
from realtime.stages.live_zones import LiveZones
from realtime.types import Figures
from realtime.worker_threads import Worker

NOT_FOUND = Answer(HTTPStatus.NOT_FOUND, "there are /metrics and /health here\n")
LATENCY_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


def listen_at(text: str) -> tuple[str, int]:
    """ "9100" -> this machine only, "0.0.0.0:9100" -> every machine that can reach it. Raises UsageError for anything
    else."""
    host, colon, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or (colon and not host):
        raise UsageError(f"{text!r} is not where metrics can be served; give PORT or HOST:PORT, such as 9100")
    return host.strip("[]") or "127.0.0.1", int(port)


@dataclass(frozen=True, eq=False)
class Watched:
    """A source that is reported on."""

    figures: Callable[[], Figures]
    stall_s: float
    zones: LiveZones | None


class Metrics(Collector):
    """Serves as soon as it is created. `write` must be given every line of the log. A context manager."""

    def __init__(
        self,
        host: str,
        port: int,
        now_s: Callable[[], float] = time.monotonic,
        *,
        zones_token: str | None = None,
    ) -> None:
        """`port`: 0 for any free one. `now_s`: the clock of the sessions. `zones_token`: allows requests to change
        zones. Raises OutputError if it cannot listen."""
        self._now_s = now_s
        self._sources: dict[str, Watched] = {}
        self._zone_requests = ZoneRequests(zones_token, self._zones)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._latency = Histogram(
            "i3d_live_latency_seconds",
            "From a frame being read to the answer that it decided.",
            ["source"],
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self._of_zones = {
            kind: Counter(f"i3d_live_zone_{kind}s", text, ["source", "zone"], registry=self._registry)
            for kind, text in OF_ZONES.items()
        }
        self._metrics_app = make_wsgi_app(self._registry)
        try:
            self._server = make_server(host, port, self._app, _server_class(host), _Handler)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot serve metrics at {host}:{port}: {reason}; choose another port"
            ) from error
        self.port: int = self._server.server_address[1]
        self._worker = Worker(self._server.serve_forever)

    def watch(
        self, name: str, figures: Callable[[], Figures], stall_s: float, zones: LiveZones | None = None
    ) -> None:
        """Report on this source too; after `stall_s` without a frame it counts as unhealthy. `zones`: those that
        requests may change."""
        self._sources = self._sources | {name: Watched(figures, stall_s, zones)}

    def forget(self, name: str) -> None:
        """Stop reporting on this source."""
        self._sources = {other: each for other, each in self._sources.items() if other != name}

    def write(self, line: Line) -> None:
        """Count a line of the log: these figures cannot be read from a session later."""
        source = line.get("name", self._only_name())
        if line["kind"] == "prediction" and line["latency_ms"] is not None:
            self._latency.labels(source).observe(line["latency_ms"] / 1000)
        if "zone" in line and line["kind"] in self._of_zones:
            self._of_zones[line["kind"]].labels(source, line["zone"]).inc()

    def collect(self) -> Iterator[Metric]:
        sources = {name: each.figures() for name, each in self._sources.items()}
        for what, text, value in COUNTERS:
            counter = CounterMetricFamily(f"i3d_live_{what}", text, labels=["source"])
            for name, figures in sources.items():
                counter.add_metric([name], value(figures))
            yield counter
        for what, text, label, values in LABELLED_COUNTERS:
            counter = CounterMetricFamily(f"i3d_live_{what}", text, labels=["source", label])
            for name, figures in sources.items():
                for key, number in values(figures).items():
                    counter.add_metric([name, key], number)
            yield counter
        for what, text, value in GAUGES:
            gauge = GaugeMetricFamily(f"i3d_live_{what}", text, labels=["source"])
            for name, figures in sources.items():
                gauge.add_metric([name], value(figures))
            yield gauge
        healthy = GaugeMetricFamily("i3d_live_healthy", "1 while the source gives frames.", labels=["source"])
        for name in sources:
            healthy.add_metric([name], self.trouble(name) is None)
        yield healthy

    def trouble(self, name: str) -> str | None:
        """What is wrong with a source, or None."""
        if name not in self._sources:  # forgotten during the request
            return None
        watched = self._sources[name]
        figures = watched.figures()
        if figures.ended is not None:
            return figures.ended if figures.failed else None
        silent_s = self._now_s() - figures.last_frame_s
        if silent_s <= watched.stall_s:
            return None
        return f"no frame for {silent_s:.0f} s" + (f"; {figures.lost}" if figures.lost else "")

    def close(self) -> None:
        """Stop serving. Closing again does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._worker.join(timeout_s=5.0)

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _only_name(self) -> str:
        return next(iter(self._sources), "")

    def _zones(self) -> dict[str, LiveZones]:
        return {name: each.zones for name, each in self._sources.items() if each.zones is not None}

    def _app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            text: Iterable[bytes] = self._metrics_app(environ, start_response)
            return text
        if environ["PATH_INFO"] == "/health":
            answer = self._health()
        else:
            answer = self._zone_requests.answer(environ) or NOT_FOUND
        headers = [("Content-Type", answer.kind), *answer.headers]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [answer.body.encode()]

    def _health(self) -> Answer:
        trouble = {name: self.trouble(name) for name in self._sources}
        well = not any(trouble.values())
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        sources = {name: reason or "ok" for name, reason in trouble.items()}
        return json_answer(status, {"healthy": well, "sources": sources})


OF_ZONES = {
    "prediction": "Answers about a zone, provisional ones included.",
    "event": "Events of a zone that have ended.",
}
"""By the kind of the log's line that is counted."""
Read = Callable[[Figures], float]
COUNTERS: tuple[tuple[str, str, Read], ...] = (
    ("frames", "Frames decoded.", lambda f: f.frames),
    ("frames_used", "Frames that an answer could see.", lambda f: f.used),
    ("ticks", "Ticks of the model's clock.", lambda f: f.ticks),
    ("windows", "Steps of the engines: windows, or chunks of 8 ticks.", lambda f: f.steps),
    ("predictions", "Answers, provisional ones included.", lambda f: f.predictions),
    ("events", "Events that have ended.", lambda f: f.events),
    ("gaps", "Stretches without frames.", lambda f: f.gaps),
    ("idle_ticks", "Ticks that were not looked at because nothing moved.", lambda f: f.idle_ticks),
    ("reconnects", "Times that the source came back.", lambda f: f.reconnects),
    ("corrupt_packets", "Packets and pictures that were damaged.", lambda f: f.corrupt_packets),
)
LABELLED_COUNTERS: tuple[tuple[str, str, str, Callable[[Figures], Mapping[str, float]]], ...] = (
    ("frames_dropped", "Frames that no answer could see, by cause.", "cause", lambda f: f.dropped),
    (
        "left_out",
        "Frames, answers and messages that an output was too slow for.",
        "output",
        lambda f: f.left_out,
    ),
    ("level_steps", "Steps to each level of work.", "level", lambda f: f.level_steps),
    ("stage_seconds", "Wall seconds spent.", "stage", lambda f: f.stage_s),
    (
        "engine_seconds",
        "Wall seconds that the engines ran.",
        "stream",
        lambda f: {
            streams: f.stage_s[stage] for streams, stage in ENGINE_STAGES.items() if stage in f.stage_s
        },
    ),
)
GAUGES: tuple[tuple[str, str, Read], ...] = (
    ("queue_frames", "Frames that wait for the recogniser.", lambda f: f.waiting),
    ("lag_seconds", "How long the last frame had waited.", lambda f: f.lag_s),
    ("steps_down", "Level of work; 0 is all that was asked for.", lambda f: f.steps_down),
    ("idle", "1 while the engines rest because nothing moves.", lambda f: f.resting_since_s is not None),
    ("connected", "0 while the source is lost.", lambda f: f.lost is None),
)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """As in the base class, but without looking up this machine's name on the network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server_class(host: str) -> type[_Server]:
    return _Server6 if ":" in host else _Server


class _Handler(WSGIRequestHandler):
    timeout = 5
    """Seconds after which a silent connection is closed."""

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""
