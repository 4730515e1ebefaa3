"""The routes of a fleet's page, and how rarely the fleet is asked."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("gradio")  # the extra, which brings the server

from realtime.view.fleet_answers import FleetAnswers
from realtime.view.fleet_state import key_of
from realtime.view.shared_answer import SharedAnswer
from tests.realtime.view.conftest import PASSWORD
from tests.realtime.view.test_door import log_in
from tests.support.fleet_doubles import MadeUpFleet, ServedFleet, camera, mixed, served_fleet, status
from tests.support.serving import ask

STATE = "/live/fleet/state"


@pytest.fixture
def fleet() -> MadeUpFleet:
    return MadeUpFleet(status({"<b>x": camera(0), "a/../b": camera(1), "c": camera(2, figures=None)}))


@pytest.fixture
def server(fleet: MadeUpFleet) -> Iterator[ServedFleet]:
    with served_fleet(fleet) as place:
        yield place


def picture(name: str) -> str:
    return f"/live/fleet/picture/{key_of(name)}"


def test_the_page_and_its_files_allow_nothing_inline(server: ServedFleet) -> None:
    code, headers, page = ask(server, "/")
    assert code == 200
    policies = headers["content-security-policy"]
    assert "default-src" in policies
    assert b"<script>" not in page
    assert b"style=" not in page
    for name in ("fleet.css", "fleet.js", "fleet_cameras.js", "fleet_machines.js", "fleet_pictures.js"):
        assert ask(server, f"/live/static/{name}")[0] == 200
    for path in ("/live/static/../fleet_page.py", "/live/static/none.js", "/config", "/docs"):
        assert ask(server, path)[0] == 404


def test_the_strict_policy_is_added_to_that_of_the_guard(server: ServedFleet) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/")
    policies = connection.getresponse().headers.get_all("content-security-policy")
    connection.close()
    assert any("default-src 'none'" in policy and "unsafe" not in policy for policy in policies)


def test_the_state_is_json_packed_for_those_who_can_unpack_it(server: ServedFleet) -> None:
    import gzip

    code, headers, plain = ask(server, STATE)
    assert (code, headers["content-type"], headers["cache-control"]) == (200, "application/json", "no-store")
    assert {each["name"] for each in json.loads(plain)["cameras"]} == {"<b>x", "a/../b", "c"}
    _, headers, packed = ask(server, STATE, accept_encoding="gzip, br")
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed)) == json.loads(plain)


def test_pictures_of_cameras_with_any_name(server: ServedFleet, fleet: MadeUpFleet) -> None:
    for name in ("<b>x", "a/../b"):
        code, headers, jpeg = ask(server, picture(name))
        assert (code, headers["content-type"]) == (200, "image/jpeg")
        assert jpeg.startswith(b"\xff\xd8\xff")
    assert ask(server, picture("c"))[0] == 204
    before = fleet.asked.copy()
    assert ask(server, picture("d"))[0] == 204  # it is gone since the page asked last
    assert ask(server, "/live/fleet/picture/x")[0] == 204
    assert set(fleet.asked) == set(before)


def test_while_the_fleet_is_silent_the_page_is_told_why_and_no_picture_is_asked_for(
    server: ServedFleet, fleet: MadeUpFleet
) -> None:
    fleet.silent = "no fleet runs on this cluster; start one"
    code, _, told = ask(server, STATE)
    assert (code, json.loads(told)) == (503, {"error": fleet.silent})
    assert ask(server, picture("<b>x"))[0] == 204
    assert set(fleet.asked) == {"status"}


def test_there_is_one_login_for_all_of_it(fleet: MadeUpFleet) -> None:
    with served_fleet(fleet, PASSWORD) as server:
        assert ask(server, "/")[0] == 303
        for path in (STATE, picture("<b>x"), "/live/static/fleet.js"):
            assert ask(server, path)[0] == 401
        assert not fleet.asked
        cookie = log_in(server)  # type: ignore[arg-type]
        assert ask(server, STATE, cookie=cookie)[0] == 200
        assert ask(server, STATE, cookie=cookie, host="evil.example")[0] == 421


def test_ten_pages_cost_no_more_than_one(fleet: MadeUpFleet) -> None:
    fleet.slow_s = 0.2

    async def ten_pages() -> list[object]:
        answers = FleetAnswers(fleet)
        states = await asyncio.gather(*(answers.state() for _ in range(10)))
        pictures = await asyncio.gather(*(answers.picture(key_of("<b>x")) for _ in range(10)))
        return [*{id(each) for each in states}, *set(pictures)]

    assert len(asyncio.run(ten_pages())) == 2
    assert fleet.asked == {"status": 1, "<b>x": 1}


def test_pictures_leave_room_for_the_state() -> None:
    fleet = MadeUpFleet(mixed(60))

    async def all_pictures() -> None:
        answers = FleetAnswers(fleet)
        keys = (await answers.state()).names
        fleet.slow_s = 0.05
        await asyncio.gather(*(answers.picture(key) for key in keys))

    asyncio.run(all_pictures())
    assert len(fleet.asked) == 61
    assert 1 < fleet.most_at_once <= 4


def test_questions_do_not_pile_up_behind_one_that_is_not_answered() -> None:
    going_on = threading.Event()
    asked = []

    def fetch() -> int:
        asked.append(1)
        going_on.wait(20)
        return len(asked)

    async def impatient() -> int:
        shared = SharedAnswer(fetch, lambda _: 60.0)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await shared.get(0.02)
        going_on.set()
        return await shared.get(20)

    assert asyncio.run(impatient()) == 1
    assert len(asked) == 1


def test_an_answer_is_fetched_again_when_it_is_old() -> None:
    clock = iter([100.0, 100.5, 101.0, 101.0, 105.0, 105.0])
    numbers = iter(range(10))

    async def ask_at_times() -> list[int]:
        shared = SharedAnswer(lambda: next(numbers), lambda _: 1.0, now_s=lambda: next(clock))
        return [await shared.get(20) for _ in range(3)]

    assert asyncio.run(ask_at_times()) == [0, 0, 1]
