"""`i3d-live fleet view` on a real cluster, whose supervisor is a double; the supervisor, and then the cluster, ends."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.commands.fleet_posts import SPACE
from realtime.commands.fleet_supervisor import NAME
from realtime.view.fleet_state import key_of
from tests.conftest import ROOT
from tests.support.fleet_doubles import ServedFleet, camera, status
from tests.support.ray_nodes import nodes
from tests.support.serving import ask
from tests.support.view_doubles import until

ray = pytest.importorskip("ray", reason="needs the extra cluster")
pytest.importorskip("gradio", reason="needs the extra view")

PROGRAM = [sys.executable, "-c", "from realtime.cli import main; main()", "fleet", "view", "--port", "0"]


def new_supervisor(name: str) -> Any:
    """A double, which watches one camera."""

    class Double:
        def status(self) -> dict[str, Any]:
            return told

        def thumbnail(self, name: str) -> bytes:
            return name.encode()

    told = status({name: camera(0)})
    made: Any = ray.remote(Double).options(name=NAME, namespace=SPACE, lifetime="detached", num_cpus=0)
    return made.remote()


@pytest.fixture
def address() -> Iterator[str]:
    """Of a cluster; some tests end it."""
    with nodes(0) as cluster:
        ray.init(cluster.address, log_to_driver=False)
        yield cluster.address
        ray.shutdown()


def state(server: ServedFleet) -> tuple[int, dict[str, Any]]:
    code, _, told = ask(server, "/live/fleet/state")
    return code, json.loads(told)


def shows(server: ServedFleet, name: str) -> bool:
    code, told = state(server)
    return code == 200 and [each["name"] for each in told["cameras"]] == [name]


def test_the_page_outlives_the_fleet_and_shows_the_next_one(address: str) -> None:
    first = new_supervisor("<b>x")
    with subprocess.Popen(
        [*PROGRAM, "--cluster", address], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Fleet view: http://127\.0\.0\.1:([0-9]+)/ +\(Ctrl-C stops it\)\n", line)
        assert found, line or process.communicate()[1]
        server = ServedFleet(int(found[1]))
        assert shows(server, "<b>x")
        assert ask(server, f"/live/fleet/picture/{key_of('<b>x')}")[2] == b"<b>x"
        ray.kill(first)
        until(lambda: state(server)[0] == 503)
        until(lambda: "no fleet runs on this cluster" in state(server)[1].get("error", ""))
        new_supervisor("yard")
        until(lambda: shows(server, "yard"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), err
    assert err.count("\n") == 1, err


def test_where_no_fleet_runs_that_is_said_and_nothing_is_served(address: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "--cluster", address], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("i3d-live: no fleet runs on this cluster; start one: i3d-live fleet site.toml\n")
