"""Access control: every request passes here. One login covers the page, the pictures and everything else."""

import asyncio
import hmac
import html
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WRONG_PASSWORD_S = 1.0
"""Wrong passwords are answered one by one, each after this time."""
LARGEST_BODY_BYTES = 2**20
"""Limit for everything but uploads, which have their own: the fields of the page."""
UPLOAD_PATH = "/live/upload"
OPEN_PATHS = ("/live/", "/assets/", "/static/", "/gradio_api/queue/", "/gradio_api/heartbeat/")
OPEN_PAGES = frozenset(
    {"/", "/config", "/theme.css", "/gradio_api/info", "/gradio_api/startup-events", "/favicon.ico"}
)
"""The part of Gradio that the page needs. Left out: /file=, /upload and /proxy=, which reach files and other hosts."""
NOTHING_FROM_ELSEWHERE = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; connect-src 'self' data: blob:"
)
"""The browser enforces that the page contacts no other host. Gradio's page contains inline scripts and styles."""
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", NOTHING_FROM_ELSEWHERE.encode()),
]


class Guard:
    """ASGI middleware. Passes requests that have a known path, come from the page itself, are not too large and are
    logged in."""

    def __init__(self, app: App, password: str | None, local: bool) -> None:
        """`password`: None for no login. `local`: bound to this machine only, so that any other host name is an attack
        by a foreign page (DNS rebinding)."""
        self._app, self._password, self._local = app, password, local
        self._sessions: set[str] = set()
        self._guessing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refused = self._refuse(scope)
        if refused is not None:
            await _refuse(scope, receive, send, *refused)
        elif scope["path"] == "/login":
            await self._login(scope, receive, send)
        elif self._password is not None and not self._logged_in(scope):
            await self._ask(scope, receive, send)
        elif scope["type"] == "http":
            await self._pass_on(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, or None."""
        path, headers = scope["path"], _headers(scope)
        host = headers.get("host", "")
        if self._local and not _names_this_machine(host):
            return 421, "this server answers only to localhost and 127.0.0.1"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "a page of another site may not use this server"
        if (path not in OPEN_PAGES and path != "/login" and not path.startswith(OPEN_PATHS)) or ".." in path:
            return 404, "there is no such page"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return 400, "Content-Length must be a number"
        if path != UPLOAD_PATH and int(length) > LARGEST_BODY_BYTES:
            return 413, f"at most {LARGEST_BODY_BYTES} bytes may be sent here"
        return None

    def _logged_in(self, scope: Scope) -> bool:
        parts = (part.partition("=") for part in _headers(scope).get("cookie", "").split(";"))
        return any(name.strip() == _cookie(scope) and value in self._sessions for name, _, value in parts)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page redirects to the login, everything else is refused."""
        if scope["type"] == "http" and scope["path"] == "/":
            await _answer(send, 303, b"", [(b"location", b"login")])
        else:
            await _refuse(scope, receive, send, 401, "log in first")

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._password is None:
            await _refuse(scope, receive, send, 404, "there is no such page")
        elif scope["method"] != "POST":
            await _answer(send, 200, _login_page(""), [(b"content-type", b"text/html; charset=utf-8")])
        else:
            await self._check_password(await _body(receive, 4096), scope, send)

    async def _check_password(self, body: bytes, scope: Scope, send: Send) -> None:
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        assert self._password is not None
        if not hmac.compare_digest(given.encode(), self._password.encode()):
            async with self._guessing:
                await asyncio.sleep(WRONG_PASSWORD_S)
            page = _login_page("That is not the password.")
            await _answer(send, 401, page, [(b"content-type", b"text/html; charset=utf-8")])
            return
        token = secrets.token_urlsafe(32)
        self._sessions.add(token)
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{_cookie(scope)}={token}; HttpOnly; SameSite=Strict; Path=/{secure}"
        await _answer(send, 303, b"", [(b"location", b"./"), (b"set-cookie", cookie.encode())])

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = None if scope["path"] == UPLOAD_PATH else LARGEST_BODY_BYTES
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            # Without a stated length the size is known only here; the connection is dropped.
            return {"type": "http.disconnect"} if limit is not None and taken > limit else message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await self._app(scope, limited, with_headers)


def _cookie(scope: Scope) -> str:
    """Cookies of a host are shared by all its ports: two servers on one machine must not log each other out."""
    return f"i3d_live_{(scope.get('server') or ('', 0))[1]}"


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def is_local(name: str) -> bool:
    """Whether a name or an address, without a port, means this machine only."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _names_this_machine(host: str) -> bool:
    """Whether a Host header does. A port may follow; an IPv6 address is in brackets."""
    try:
        return is_local(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


async def _body(receive: Receive, most_bytes: int) -> bytes:
    body = b""
    while len(body) <= most_bytes:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body[:most_bytes]


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4000 + status, "reason": reason})
    else:
        await _answer(send, status, f"{reason}\n".encode(), [(b"content-type", b"text/plain; charset=utf-8")])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [
        *headers,
        *HEADERS,
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _login_page(problem: str) -> bytes:
    alert = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return LOGIN_PAGE.replace("<!--problem-->", alert).encode()


LOGIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>i3d-live: log in</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { min-height: 90vh; display: grid; place-items: center; margin: 0; background: light-dark(#f6f7f9, #0f1218); }
form { width: min(20rem, 85vw); display: grid; gap: .75rem; padding: 2rem; border-radius: 14px;
  background: light-dark(#fff, #181c24); border: 1px solid light-dark(#dfe3ea, #2b313d); }
h1 { font-size: 1.25rem; margin: 0; }
input, button { font: inherit; padding: .6rem .75rem; border-radius: 8px; border: 1px solid light-dark(#9aa3b2, #5b6577); }
button { background: #1d4ed8; color: #fff; border-color: #1d4ed8; cursor: pointer; }
p { margin: 0; color: light-dark(#b42318, #ff9a8f); }
</style>
<form method="post" action="login"><h1>i3d-live</h1><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" autofocus required>
<!--problem--><button>Log in</button></form></html>
"""
