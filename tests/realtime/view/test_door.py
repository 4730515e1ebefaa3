"""Access to the page: one login for everything, and nothing behind it that is not meant to be reached."""

import json

import pytest

from tests.realtime.view.conftest import PASSWORD
from tests.support.serving import Served, ask, shake_hands

PATHS = ("/", "/config", "/theme.css", "/live/static/live.js", "/live/x/picture", "/live/x/flow", "/gradio_api/info",
         "/gradio_api/queue/data?session_hash=x", "/gradio_api/heartbeat/x", "/assets/index.js", "/static/img/logo.svg")  # fmt: skip


def log_in(server: Served, password: str = PASSWORD) -> str:
    status, headers, _ = ask(
        server, "/login", method="POST", body=f"password={password.replace(' ', '+')}",
        content_type="application/x-www-form-urlencoded",
    )  # fmt: skip
    return headers.get("set-cookie", "").partition(";")[0] if status == 303 else ""


@pytest.mark.parametrize("path", PATHS)
def test_without_login_there_is_only_the_login(locked_server: Served, path: str) -> None:
    status, headers, body = ask(locked_server, path)
    assert (status, headers.get("location")) == ((303, "login") if path == "/" else (401, None))
    assert len(body) < 50


def test_uploads_and_controls_are_behind_the_login(locked_server: Served) -> None:
    for path in ("/live/upload?name=a", "/gradio_api/queue/join"):
        assert ask(locked_server, path, method="POST", body="{}")[0] == 401
    assert locked_server.holds()["uploads"] == 0


@pytest.mark.parametrize("path", ["/live/x/state", "/live/x/camera"])
def test_state_and_camera_are_behind_the_login(locked_server: Served, path: str) -> None:
    assert b" 403 " in shake_hands(locked_server, path)
    assert b" 101 " in shake_hands(locked_server, path, f"Cookie: {log_in(locked_server)}")


def test_the_password_opens_everything_and_its_cookie_is_kept_from_scripts_and_other_sites(
    locked_server: Served,
) -> None:
    assert log_in(locked_server, "correct horse ") == ""
    assert log_in(locked_server, "") == ""
    cookie = log_in(locked_server)
    assert ask(locked_server, "/config", cookie=cookie)[0] == 200
    assert ask(locked_server, "/config", cookie=cookie[:-1])[0] == 401
    assert ask(locked_server, "/config", cookie="i3d_live=; \x01=;;")[0] == 401
    status, headers, _ = ask(locked_server, "/login", method="POST", body="password=correct+horse")
    assert status == 303
    assert "HttpOnly; SameSite=Strict" in headers["set-cookie"]
    assert headers["set-cookie"].startswith(
        f"i3d_live_{locked_server.port}="
    )  # apart from those of other servers on this machine


def test_a_wrong_password_is_reported_on_the_page(locked_server: Served) -> None:
    status, _, body = ask(locked_server, "/login", method="POST", body="password=%ff%00<script>" + "x" * 9000)
    assert status == 401
    assert b"That is not the password." in body
    assert b"<script>" not in body


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=/etc/passwd", "/file=/etc/passwd", "/gradio_api/file/etc/passwd", "/gradio_api/proxy=http://localhost:1/",
     "/gradio_api/upload", "/upload", "/gradio_api/upload_progress", "/gradio_api/component_server", "/gradio_api/runs",
     "/gradio_api/run/predict", "/gradio_api/call/x", "/gradio_api/api/predict", "/run/predict", "/api/predict",
     "/monitoring", "/gradio_api/openapi.json", "/docs", "/gradio_api/vibe-code", "/gradio_api/process_recording",
     "/live/static/../page.py", "/live/static/%2e%2e/page.py", "/live/static/..%2fpage.py", "/static/../../../../etc/passwd",
     "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/assets//etc/passwd", "/live/static//etc/passwd", "/svelte/x",
     "/custom_component/1/client/component/index.js", "/robots.txt", "/user", "/token", "/gradio_api/token"],
)  # fmt: skip
def test_no_file_and_no_other_host_is_reached_through_it(open_server: Served, path: str) -> None:
    for method in ("GET", "POST"):
        status, _, body = ask(open_server, path, method=method)
        assert status in (403, 404, 405), (method, path, body)
        assert b"root:" not in body


def test_pages_of_other_sites_get_nothing(open_server: Served) -> None:
    own = f"http://127.0.0.1:{open_server.port}"
    assert ask(open_server, "/config", origin=own)[0] == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", own + "1"):
        assert ask(open_server, "/config", origin=origin)[0] == 403
    assert ask(open_server, "/config", host="evil.example")[0] == 421
    assert ask(open_server, "/config", host="127.0.0.1.evil.example")[0] == 421
    assert ask(open_server, "/config", host="localhost:9")[0] == 200
    assert b" 403 " in shake_hands(open_server, "/live/x/state", "Origin: http://evil.example")


def test_the_page_refers_to_no_other_host(open_server: Served) -> None:
    config = json.loads(ask(open_server, "/config")[2])
    assert config["analytics_enabled"] is False
    text = json.dumps(config)
    for word in ("huggingface", "googleapis", "gstatic", "cdn.", "stun:"):
        assert word not in text, word


def test_responses_carry_security_headers(open_server: Served) -> None:
    _, headers, _ = ask(open_server, "/live/static/live.js")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["connect-src"] == "'self' data: blob:"
    for sources in policy.values():
        assert "//" not in sources
        assert "*" not in sources
