"""What `i3d-live fleet` makes of the machines that it finds."""

import pytest

from realtime.commands.fleet import check_watched
from realtime.errors import EngineError

CANNOT = "precision of openvino on AMD EPYC cannot be 'bfloat16'"


@pytest.mark.parametrize("errors", [{}, {"n1": None}, {"n1": CANNOT, "n2": None}])
def test_a_fleet_starts_where_one_machine_can_watch_or_may_come(errors: dict[str, str | None]) -> None:
    check_watched({"nodes": {name: {"error": error} for name, error in errors.items()}})


def test_where_no_machine_can_watch_the_start_fails_and_says_why() -> None:
    with pytest.raises(EngineError, match=f"n1: {CANNOT}. End this fleet with i3d-live fleet stop"):
        check_watched({"nodes": {"n2": {"error": "another"}, "n1": {"error": CANNOT}}})
