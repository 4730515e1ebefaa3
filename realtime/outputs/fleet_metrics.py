"""Figures of a fleet for Prometheus: those of `realtime.outputs.metrics`, with the node as a label, and the machines'.

GET /metrics at the supervisor. A camera that moves begins a new series.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime.errors import OutputError
from realtime.outputs.metrics import COUNTERS, GAUGES, listen_at
from realtime.types import Figures


@dataclass(frozen=True)
class Snapshot:
    """A fleet at one moment."""

    cameras: Mapping[str, tuple[str, Figures]]
    """By name: the node of each that is watched, and its figures."""
    nodes: Mapping[str, tuple[float, float, float]]
    """By name: cores, cores used, and how many seconds its worst camera is behind."""
    waiting: int
    moves: int


class FleetMetrics(Collector):
    """Serves as soon as it is created."""

    def __init__(self, where: str, snapshot: Callable[[], Snapshot]) -> None:
        """`where`: as for `--metrics`. Raises OutputError if it cannot listen."""
        self._snapshot = snapshot
        registry = CollectorRegistry()
        registry.register(self)
        host, port = listen_at(where)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot serve metrics at {host}:{port}: {reason}; choose another port"
            ) from error

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def collect(self) -> Iterator[Metric]:
        found = self._snapshot()
        for what, text, value in COUNTERS:
            counter = CounterMetricFamily(f"i3d_live_{what}", text, labels=["source", "node"])
            for name, (node, figures) in found.cameras.items():
                counter.add_metric([name, node], value(figures))
            yield counter
        for what, text, value in GAUGES:
            gauge = GaugeMetricFamily(f"i3d_live_{what}", text, labels=["source", "node"])
            for name, (node, figures) in found.cameras.items():
                gauge.add_metric([name, node], value(figures))
            yield gauge
        for place, (what, text) in enumerate(OF_NODES):
            gauge = GaugeMetricFamily(f"i3d_live_fleet_{what}", text, labels=["node"])
            for name, values in found.nodes.items():
                gauge.add_metric([name], values[place])
            yield gauge
        yield GaugeMetricFamily("i3d_live_fleet_waiting", "Cameras that no node has room for.", found.waiting)
        yield CounterMetricFamily("i3d_live_fleet_moves", "Cameras that changed their node.", found.moves)


OF_NODES = (
    ("cores", "Cores that may be used."),
    ("cores_used", "Cores that its cameras use."),
    ("behind_seconds", "How far its worst camera is behind."),
)
