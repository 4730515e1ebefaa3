"""Events sent to a real HTTP server that is away, overloaded, slow or refuses."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engines.load import Engines
from realtime.errors import UsageError
from realtime.outputs import webhook
from realtime.outputs.log import Line
from realtime.outputs.webhook import Webhook
from tests.support.colours import SeesColours
from tests.support.command_line import Doubles, invoke_with
from tests.support.made_clips import every, write_clip
from tests.support.servers import free_port, silent_server
from tests.support.webserver import serving

STEP = Fraction(1, 25)
EVENT: Line = {"kind": "event", "name": "door", "label": "tai chi", "start_s": 1.0, "end_s": 2.0}


class Receiver:
    """What was posted: path, headers and body of each request, and the statuses to answer with before 200."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], Any]] = []
        self.statuses: list[int] = []
        self.url = ""

    def events(self) -> list[Any]:
        return [body["start_s"] for _, _, body in self.heard]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.heard.append((self.path, dict(self.headers), body))
            status = made.statuses.pop(0) if made.statuses else 200
            self.send_response(status)
            self.send_header("Location", f"{made.url}elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/"
    with serving(server):
        yield made


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_event_is_posted_as_json_and_nothing_else_is() -> None:
    with receiver() as server:
        with Webhook(f"{server.url}api/webhook/x?a=1") as hook:
            hook.write({"kind": "prediction", "label": "tai chi"})
            hook.write(EVENT | {"label": "太極拳"})
        ((path, headers, body),) = server.heard
    assert path == "/api/webhook/x?a=1"
    assert headers["Content-Type"] == "application/json"
    assert {key: body[key] for key in EVENT} == EVENT | {"label": "太極拳"}
    assert body["known_at"][:2] == "20"
    assert hook.lost == 0


def test_a_user_and_a_password_are_sent_as_such() -> None:
    with receiver() as server:
        with Webhook(server.url.replace("://", "://me:ge%2Fheim@")) as hook:
            hook.write(EVENT)
        assert server.heard[0][1]["Authorization"] == f"Basic {base64.b64encode(b'me:ge/heim').decode()}"


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_server_that_is_overloaded_is_asked_again_and_gets_all_in_order(status: int) -> None:
    said: list[str] = []
    with receiver() as server:
        server.statuses = [status] * 3
        with Webhook(server.url, tell=said.append, first_pause_s=0.01) as hook:
            for number in range(5):
                hook.write(EVENT | {"start_s": number})
            until(lambda: len(server.heard) == 8)
        assert server.events() == [0, 0, 0, 0, 1, 2, 3, 4]
    assert hook.lost == 0
    assert said == [f"webhook {server.url}***: status {status}; trying again"]


@pytest.mark.parametrize("status", [400, 404, 301, 307])
def test_a_server_that_refuses_is_not_asked_again(status: int) -> None:
    """Not even elsewhere: an event must not go to an address that nobody gave."""
    said: list[str] = []
    with receiver() as server:
        server.statuses = [status, status]
        with Webhook(server.url, tell=said.append) as hook:
            for number in range(3):
                hook.write(EVENT | {"start_s": number})
            until(lambda: len(server.heard) == 3)
        assert server.events() == [0, 1, 2]
    assert hook.lost == 2
    assert said == [f"webhook {server.url}***: refuses events with status {status}; check the address"]


def test_a_server_that_is_away_holds_up_nobody_and_gets_the_events_later() -> None:
    port, said = free_port(), list[str]()
    with Webhook(f"http://127.0.0.1:{port}/secret", tell=said.append, first_pause_s=0.02) as hook:
        start_s = time.monotonic()
        for number in range(100):
            hook.write(EVENT | {"start_s": number})
        assert time.monotonic() - start_s < 1
        until(lambda: said)
        with receiver(port) as server:
            until(lambda: len(server.heard) == 100)
            assert server.events() == list(range(100))
    assert hook.lost == 0
    assert len(said) == 1
    assert "refused" in said[0]
    assert "secret" not in said[0]


def test_a_full_queue_leaves_out_its_oldest_and_counts_them() -> None:
    port, said = free_port(), list[str]()
    with Webhook(f"http://127.0.0.1:{port}/", tell=said.append, first_pause_s=0.02) as hook:
        hook.write(EVENT | {"start_s": 0})
        until(lambda: said)  # this one is being sent
        for number in range(1, webhook.MOST_WAITING + 8):
            hook.write(EVENT | {"start_s": number})
        assert hook.lost == 7
        with receiver(port) as server:
            until(lambda: len(server.heard) >= webhook.MOST_WAITING + 1)
            assert server.events() == [0, *range(8, webhook.MOST_WAITING + 8)]
    assert hook.lost == 7


def test_what_still_waits_at_the_end_is_counted_after_a_while() -> None:
    hook = Webhook(f"http://127.0.0.1:{free_port()}/", tell=lambda text: None, last_words_s=0.2)
    hook.write(EVENT)
    hook.write(EVENT)
    start_s = time.monotonic()
    hook.close()
    assert time.monotonic() - start_s < 5
    assert hook.lost == 2


def test_at_the_end_a_server_that_is_back_still_gets_what_waits() -> None:
    port = free_port()
    hook = Webhook(f"http://127.0.0.1:{port}/", tell=lambda text: None, first_pause_s=0.05, last_words_s=20)
    hook.write(EVENT)
    with receiver(port) as server:
        hook.close()
        assert server.events() == [1.0]
    assert hook.lost == 0


def test_a_server_that_says_nothing_holds_up_nobody() -> None:
    with silent_server() as port:
        hook = Webhook(f"http://127.0.0.1:{port}/", tell=lambda text: None, last_words_s=0.1)
        start_s = time.monotonic()
        for _ in range(100):
            hook.write(EVENT)
        assert time.monotonic() - start_s < 1


@pytest.mark.parametrize(
    "url",
    ["", "h/geheim", "ftp://h/geheim", "http://", "http:///geheim", "http://h:0/geheim", "http://h:x/geheim",
     "http://me:geheim@:8/", "http://h/geheim\n", "http://h/geheimü"],
)  # fmt: skip
def test_what_is_no_address_is_a_wrong_call_without_its_secret(url: str) -> None:
    with pytest.raises(UsageError, match=r"give http://|write it so") as refused:
        Webhook(url)
    assert "geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_posts_its_events_and_says_what_was_left_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 80), size_px=(320, 240))
    invoke = invoke_with(capsys, Doubles(Engines(SeesColours(), None, "double")))
    with receiver() as server:
        code, out, err = invoke("run", f"door={clip}", "--webhook", f"{server.url}secret")
        events = [json.loads(line) for line in out.splitlines() if '"kind": "event"' in line]
        assert (code, err) == (0, "")
        assert [body | {"known_at": ""} for _, _, body in server.heard] == [
            event | {"known_at": ""} for event in events
        ]
        assert events
        server.statuses = [403] * len(events)
        _, _, err = invoke("run", f"door={clip}", "--webhook", f"{server.url}secret")
    assert f"{len(events)} events did not reach the webhook" in err
    assert "secret" not in err


def test_a_site_file_takes_its_secret_from_the_environment(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path / "c.mp4", every(STEP, 80), size_px=(320, 240))
    site = tmp_path / "site.toml"
    invoke = invoke_with(capsys, Doubles(Engines(SeesColours(), None, "double")))
    with receiver() as server:
        table = f'[output]\nwebhook = "{server.url}${{HOOK}}"\n'
        site.write_text('[[camera]]\nname = "door"\naddress = "c.mp4"\n' + table)
        code, _, err = invoke("site", "check", site)
        assert (code, err.count("variable HOOK is not set")) == (2, 1)
        monkeypatch.setenv("HOOK", "geheim")
        assert invoke("run", site)[0] == 0
        assert {path for path, _, _ in server.heard} == {"/geheim"}
