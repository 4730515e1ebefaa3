"""Requests to read and change zones while a program runs, for whatever knows where to look: a detector, a tracker.

GET    /zones         the zones of every source, as JSON
PUT    /zones/NAME    add a zone: {"x": 10, "y": 20, "width": 30, "height": 40, "percent": false, "own": false}; or
                      move the one of that name, which keeps its model, labels and thresholds
DELETE /zones/NAME    remove it

Each needs `Authorization: Bearer TOKEN`. `?source=CAMERA` names one of several sources. Without a token there are no
such paths.
"""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from realtime.errors import UsageError
from realtime.stages.live_zones import LiveZones
from realtime.zones import Zone

LARGEST_BODY_BYTES = 4096
EXAMPLE = '{"x": 10, "y": 20, "width": 30, "height": 40, "percent": false}'
PLACE, FLAGS = ("x", "y", "width", "height"), ("percent", "own")


@dataclass(frozen=True)
class Answer:
    """To a request."""

    status: HTTPStatus
    body: str
    kind: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(status: HTTPStatus, value: object) -> Answer:
    """JSON on one line."""
    return Answer(status, json.dumps(value, ensure_ascii=False) + "\n", "application/json")


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, text: str, *headers: tuple[str, str]) -> None:
        self.answer = Answer(status, f"{text}\n", headers=headers)


class ZoneRequests:
    """Answers the requests of `/zones`; from any thread."""

    def __init__(self, token: str | None, sources: Callable[[], Mapping[str, LiveZones]]) -> None:
        """`token`: None if nobody may change zones. `sources`: the zones of each source that runs."""
        self._token, self._sources = token, sources

    def answer(self, environ: Mapping[str, Any]) -> Answer | None:
        """`environ`: of WSGI. None if it is another path, or if there is no token."""
        path, slash, name = environ["PATH_INFO"].removeprefix("/").partition("/")
        if self._token is None or path != "zones":
            return None
        try:
            self._check_token(environ.get("HTTP_AUTHORIZATION", ""), self._token)
            return self._carried_out(environ, name if slash else None)
        except _Refused as refused:
            return refused.answer

    @staticmethod
    def _check_token(given: str, token: str) -> None:
        scheme, _, secret = given.partition(" ")
        same = hmac.compare_digest(secret.strip().encode("latin-1", "replace"), token.encode())
        if scheme.lower() != "bearer" or not same:
            text = "the token is missing or wrong; send Authorization: Bearer TOKEN"
            raise _Refused(HTTPStatus.UNAUTHORIZED, text, ("WWW-Authenticate", "Bearer"))

    def _carried_out(self, environ: Mapping[str, Any], path_name: str | None) -> Answer:
        allowed = ("GET",) if path_name is None else ("PUT", "DELETE")
        method = environ["REQUEST_METHOD"]
        if method not in allowed:
            raise _Refused(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{method[:20]} is not for this path; GET /zones, PUT or DELETE /zones/NAME",
                ("Allow", ", ".join(allowed)),
            )
        asked = _source_of(environ)
        if path_name is None:
            sources = self._sources() if asked is None else dict([self._source(asked)])
            return json_answer(
                HTTPStatus.OK, {source: _shown(zones.now) for source, zones in sources.items()}
            )
        source, zones = self._source(asked)
        name = _text(path_name)
        if method == "DELETE":
            _or_refused(HTTPStatus.NOT_FOUND, lambda: zones.remove(name))
        else:
            body = _body(environ)
            _or_refused(HTTPStatus.BAD_REQUEST, lambda: zones.put(_zone(name, body, zones.now)))
        return json_answer(HTTPStatus.OK, {source: _shown(zones.now)})

    def _source(self, asked: str | None) -> tuple[str, LiveZones]:
        """The source that was named, or the only one."""
        sources = dict(self._sources())
        names = ", ".join(sources) or "none runs"
        if asked is None and len(sources) != 1:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"name the source with ?source=NAME: {names}")
        source = next(iter(sources)) if asked is None else asked
        if source not in sources:
            raise _Refused(HTTPStatus.NOT_FOUND, f"{source[:60]!r} is no source of this program: {names}")
        return source, sources[source]


def _or_refused(status: HTTPStatus, call: Callable[[], None]) -> None:
    try:
        call()
    except UsageError as error:
        raise _Refused(status, str(error)) from error


def _source_of(environ: Mapping[str, Any]) -> str | None:
    asked = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    unknown = [name for name in asked if name != "source"]
    if unknown:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"{unknown[0][:60]!r} is not known here; give ?source=NAME")
    return asked["source"][-1] if asked else None


def _text(path: str) -> str:
    """A part of a WSGI path, which holds its bytes as Latin-1."""
    try:
        return path.encode("latin-1").decode()
    except UnicodeError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, "the name of the zone is not UTF-8; encode it so") from error


def _body(environ: Mapping[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdecimal()):
        raise _Refused(HTTPStatus.LENGTH_REQUIRED, f"the zone is missing; send {EXAMPLE}")
    if len(length) > 6 or int(length) > LARGEST_BODY_BYTES:
        text = f"a body of {length[:20]} bytes is too large; send at most {LARGEST_BODY_BYTES}"
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    try:
        body: bytes = environ["wsgi.input"].read(int(length))
    except OSError as error:
        raise _Refused(HTTPStatus.REQUEST_TIMEOUT, "the body did not come; send it again") from error
    return body


def _zone(name: str, body: bytes, now: Sequence[Zone]) -> Zone:
    """A new zone, or the one of that name at another place. Raises UsageError for one that is invalid."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"zone {name[:40]!r}: the body is not JSON; send {EXAMPLE}") from error
    if not isinstance(given, dict) or not set(PLACE) <= given.keys() <= {*PLACE, *FLAGS}:
        raise UsageError(
            f"zone {name[:40]!r}: the body must hold {', '.join(PLACE)} and may hold {' and '.join(FLAGS)}; send {EXAMPLE}"
        )
    flags = {each: given[each] for each in FLAGS if each in given}
    if not all(isinstance(flag, bool) for flag in flags.values()) or any(
        type(given[each]) not in (int, float) for each in PLACE
    ):
        raise UsageError(
            f"zone {name[:40]!r}: give numbers, and true or false for {' and '.join(FLAGS)}; send {EXAMPLE}"
        )
    place: dict[str, Any] = {each: _float(given[each]) for each in PLACE}
    before = next((zone for zone in now if zone.name == name), None)
    if before is None:
        return Zone(name, **place, **flags)
    return replace(before, **place, **({"percent": False} | flags))


def _float(number: float) -> float:
    """Integers of JSON have no limit."""
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _shown(zones: tuple[Zone, ...]) -> dict[str, dict[str, Any]]:
    return {zone.name: {each: getattr(zone, each) for each in (*PLACE, *FLAGS)} for zone in zones}
