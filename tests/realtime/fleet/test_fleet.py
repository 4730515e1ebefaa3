"""A fleet on a real Ray cluster, with cameras from a real RTSP server and the real network; nodes and the supervisor
are killed."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from engines.backends.openvino import device
from realtime.cluster.connect import connected
from tests.support.command_line import Invoke, invoke_with
from tests.support.fleets import (
    check_log,
    read,
    supervisor,
    wait,
    wait_for_answers,
    write_camera,
    write_site,
)
from tests.support.ray_nodes import Nodes, nodes, pids_of
from tests.support.servers import Server, free_port, rtsp_server

pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CAMERAS = 1
"""One for each processor would be too many beside other tests; benchmarks/fleet.py has six."""
PRECISION = "bfloat16" if "bfloat16" in device.precisions() else "int8"
"""In float32 two cameras would fill two cores where bfloat16 is unknown."""
ANSWER_S = 60.0
"""On a busy machine; benchmarks/fleet.py measures it."""


class Fleet:
    """Cameras, nodes, log, and the command line."""

    def __init__(self, folder: Path, there: Nodes, server: Server) -> None:
        self.folder, self.there, self.server, self.log = folder, there, server, folder / "fleet.jsonl"
        self.metrics_port = free_port()
        urls = [server.url(f"{i}.mp4") for i in range(CAMERAS)]
        served = f"[output]\nmetrics = {str(self.metrics_port)!r}"
        self.site = write_site(folder / "site.toml", urls, precision=PRECISION, output=served)
        self.invoke: Invoke

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        return self.invoke("fleet", *arguments, "--cluster", self.there.address)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json")[1])
        return found

    def where(self) -> dict[str, str | None]:
        return {name: camera["node"] for name, camera in self.status()["cameras"].items()}

    def kill_supervisor(self) -> None:
        """Returns once it has ended; Ray starts it again."""
        import ray

        before = pids_of("ray::SupervisorActor")
        with connected(self.there.address):
            ray.kill(supervisor(), no_restart=False)
        self.until(lambda: before - pids_of("ray::SupervisorActor"), "it has not ended")

    def answers(self, cameras: int = CAMERAS) -> None:
        """All cameras do, from now on."""
        wait_for_answers(self.log, cameras, time.time(), ANSWER_S)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return wait(condition, ANSWER_S, what)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    camera = write_camera(clips / "default_juggle.mp4", folder / "camera.mp4", 300)
    for i in range(CAMERAS):  # the server sends one file to all at the pace of the slowest
        os.link(camera, folder / f"{i}.mp4")
    with rtsp_server(folder) as server, nodes(2, cores=2) as there:
        yield Fleet(folder, there, server)


@pytest.fixture
def fleet(made: Fleet, capsys: pytest.CaptureFixture[str]) -> Fleet:
    made.invoke = invoke_with(capsys)
    return made


def test_a_fleet_starts_and_all_lines_come_into_one_log(fleet: Fleet) -> None:
    code, out, err = fleet.run("start", fleet.site, "--log", fleet.log)
    assert (code, "cam1" in out) == (0, True)
    assert "to end it: i3d-live fleet stop" in err
    fleet.answers()
    status = fleet.status()
    assert sorted(status["nodes"]) == ["n1", "n2"]
    assert set(fleet.where().values()) <= {"n1", "n2"}
    assert status["cameras"]["cam1"]["label"] is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{fleet.metrics_port}/metrics") as answer:
        assert re.search(rb'i3d_live_predictions_total{node="n[12]",source="cam1"} [1-9]', answer.read())
    check_log(read(fleet.log))


def test_the_cameras_of_a_node_that_is_killed_answer_from_another(fleet: Fleet) -> None:
    node = next(each for each in fleet.there.others if fleet.there.names[each] in fleet.where().values())
    gone = {name for name, each in fleet.where().items() if each == fleet.there.names[node]}
    fleet.there.kill(node)
    fleet.answers()
    assert set(fleet.where().values()) == {fleet.there.names[each] for each in fleet.there.others}
    moved = [line for line in read(fleet.log) if line["kind"] == "moved" and line["why"].endswith("is gone")]
    assert {(line["from"], line["why"]) for line in moved} == {
        (fleet.there.names[node], f"{fleet.there.names[node]} is gone")
    }
    assert {line["name"] for line in moved} == gone
    check_log(read(fleet.log))
    fleet.there.others.append(fleet.there.add())
    fleet.until(lambda: len(fleet.status()["nodes"]) == 2, "the new node is not there")


def test_no_camera_notices_that_the_supervisor_dies(fleet: Fleet) -> None:
    before = sessions(fleet)
    fleet.kill_supervisor()
    fleet.answers()
    lines = read(fleet.log)
    check_log(lines)
    assert sessions(fleet) == before


def sessions(fleet: Fleet) -> list[dict[str, Any]]:
    return [line for line in read(fleet.log) if line["kind"] == "session"]


def test_a_second_start_follows_the_file(fleet: Fleet) -> None:
    """What changes begins anew; what no machine can do is said, and can be mended."""
    before, text = sessions(fleet), fleet.site.read_text()
    fleet.site.write_text(text.replace("[recognition]", "rotate = 90\n\n[recognition]"))
    code, _, err = fleet.run("start", fleet.site)
    assert (code, "a fleet runs already; it follows the file as it is now" in err) == (0, True)
    fleet.until(lambda: sessions(fleet)[len(before) :], "it did not begin anew")
    fleet.answers()
    fleet.site.write_text(text.replace("[recognition]", '[recognition]\nwatch = ["flying"]'))
    assert fleet.run("start", fleet.site)[0] == 0
    fleet.until(lambda: "flying" in (fleet.status()["cameras"]["cam1"]["error"] or ""), "no error")
    fleet.site.write_text(text)
    assert fleet.run("start", fleet.site)[0] == 0
    fleet.until(lambda: fleet.status()["cameras"]["cam1"]["error"] is None, "still an error")
    fleet.answers()
    check_log(read(fleet.log))


def test_cameras_come_and_go_and_move_as_asked(fleet: Fleet) -> None:
    assert fleet.run("add", f"yard={fleet.server.url('camera.mp4')}", "--priority", "2")[0] == 0
    fleet.answers(CAMERAS + 1)
    fleet.kill_supervisor()  # only the watchers know of it now
    fleet.answers(CAMERAS + 1)
    assert "yard" in fleet.status()["cameras"]
    assert fleet.run("remove", "yard")[0] == 0
    fleet.until(lambda: "yard" not in fleet.status()["cameras"], "it is still there")
    node = fleet.where()["cam1"]
    other = next(fleet.there.names[each] for each in fleet.there.others if fleet.there.names[each] != node)
    fleet.until(lambda: fleet.status()["nodes"][other]["ready"], "the new node is not ready")
    assert fleet.run("move", "cam1", other)[0] == 0
    fleet.until(lambda: fleet.where()["cam1"] == other, "it did not move")
    fleet.answers()
    check_log(read(fleet.log))
    assert any(line["kind"] == "summary" and line["name"] == "yard" for line in read(fleet.log))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "cam1=rtsp://x/y"), "cam1 is watched already; give another name"),
        (("add", "rtsp://x/y"), "give the camera a name, as in door=rtsp://camera/stream"),
        (("remove", "roof"), "there is no camera roof; there are cam1"),
        (("move", "cam1", "n9"), "there is no node n9; there are n"),
        (("drain", "n9"), "there is no node n9; there are n"),
    ],
)
def test_what_is_not_there_is_one_line(fleet: Fleet, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = fleet.run(*arguments)
    assert code == 2
    assert err.startswith(f"i3d-live: {message}")
    assert err.count("\n") == 1


def test_a_node_that_is_cut_off_for_a_while_doubles_no_line(fleet: Fleet) -> None:
    node = next(each for each in fleet.there.others if fleet.there.names[each] in fleet.where().values())
    fleet.there.freeze(node)
    try:
        fleet.answers()
        assert fleet.there.names[node] not in fleet.where().values()
    finally:
        fleet.there.thaw(node)
    time.sleep(5.0)
    fleet.answers()
    check_log(read(fleet.log))


def test_a_node_that_drains_has_no_camera_and_the_fleet_ends_with_its_last_lines(fleet: Fleet) -> None:
    fleet.until(lambda: fleet.status()["nodes"], "no node")
    fleet.there.others.append(fleet.there.add())
    node = fleet.where()["cam1"]
    assert node is not None
    fleet.until(lambda: sum(each["ready"] for each in fleet.status()["nodes"].values()) >= 2, "not ready")
    assert fleet.run("drain", node)[0] == 0
    fleet.until(lambda: node not in fleet.where().values(), "it is still used")
    fleet.answers()
    assert fleet.run("stop")[0] == 0
    lines = read(fleet.log)
    check_log(lines)
    assert {line["name"]: line["kind"] for line in lines} == {"cam1": "summary", "yard": "summary"}
    code, _, err = fleet.run("status")
    assert (code, err) == (
        1,
        "i3d-live: no fleet runs on this cluster; start one: i3d-live fleet site.toml\n",
    )
