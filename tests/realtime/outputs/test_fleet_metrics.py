"""What Prometheus reads of a fleet."""

import urllib.request

from realtime.outputs.fleet_metrics import FleetMetrics, Snapshot
from realtime.types import Figures


def test_cameras_have_their_node_as_a_label() -> None:
    figures = Figures(frames=50, used=48, dropped={}, ticks=48, lag_s=0.25)
    snapshot = Snapshot({"door": ("n2", figures)}, {"n1": (2.0, 0.0, 0.0), "n2": (4.0, 0.3, 1.5)}, 3, 7)
    metrics = FleetMetrics("127.0.0.1:0", lambda: snapshot)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
    finally:
        metrics.close()
    assert 'i3d_live_frames_total{node="n2",source="door"} 50.0' in lines
    assert 'i3d_live_fleet_cores{node="n1"} 2.0' in lines
    assert 'i3d_live_fleet_cores_used{node="n2"} 0.3' in lines
    assert 'i3d_live_fleet_behind_seconds{node="n2"} 1.5' in lines
    assert "i3d_live_fleet_waiting 3.0" in lines
    assert "i3d_live_fleet_moves_total 7.0" in lines
