"""What `i3d-live fleet` makes of the machines that it finds."""

import pytest

from realtime.commands.fleet import check_watched
from realtime.commands.fleet_supervisor import models_of
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import LogOptions, OutputOptions
from realtime.commands.sessions import Plan
from realtime.commands.sources import Named
from realtime.errors import EngineError
from realtime.zones import parse_zone

CANNOT = "precision of openvino on AMD EPYC cannot be 'bfloat16'"


@pytest.mark.parametrize("errors", [{}, {"n1": None}, {"n1": CANNOT, "n2": None}])
def test_a_fleet_starts_where_one_machine_can_watch_or_may_come(errors: dict[str, str | None]) -> None:
    check_watched({"nodes": {name: {"error": error} for name, error in errors.items()}})


def test_where_no_machine_can_watch_the_start_fails_and_says_why() -> None:
    with pytest.raises(EngineError, match=f"n1: {CANNOT}. Mend that, then start again"):
        check_watched({"nodes": {"n2": {"error": "another"}, "n1": {"error": CANNOT}}})


def test_the_models_of_the_cameras_zones_come_along() -> None:
    door = Named("rtsp://camera/stream", "door", zones=(parse_zone("mat", "0,0,200,200:own:model=mine"),))
    plan = Plan((door,), LogOptions(), OutputOptions(), ModelOptions(model="kinetics"), RecognizerOptions())
    assert models_of(plan) == {"kinetics", "mine"}
