"""`i3d-live fleet view`: all cameras of a fleet in a browser."""

from collections.abc import Mapping
from typing import Annotated, Any

from engines.extras import absent
from realtime.commands.flags import Only
from realtime.commands.fleet import Address, in_cluster, required
from realtime.commands.server import ServerOptions, shown_address
from realtime.errors import EngineError
from realtime.view.access import is_local

STATUS_WITHIN_S = 5.0
PICTURE_WITHIN_S = 3.0


def view(
    cluster: Address = "auto",
    server: Annotated[ServerOptions, Only(("host", "port", "password_file"))] = ServerOptions(),
) -> None:
    """Show all cameras of the fleet in the browser: their pictures, what is being done, and the machines.

    It runs on any machine of the cluster. The fleet goes on when it ends.
    """
    password = server.password()
    try:
        from realtime.view.fleet_page import fleet_app
        from realtime.view.web_server import bind, serve_app
    except ImportError as error:
        raise absent("the page of a fleet", error, "view") from error

    with bind(server.host, server.port) as listener, in_cluster(cluster):
        fleet = RayFleet(required())
        note = "" if password is None else ", with the password"
        address = shown_address(server.host, listener.getsockname()[1])
        line = f"Fleet view: {address}{note}    (Ctrl-C stops it)"
        serve_app(
            fleet_app(fleet),
            listener=listener,
            local=is_local(server.host),
            password=password,
            started=lambda: print(line, flush=True),
        )


class RayFleet:
    """The supervisor, for the page. Where it has ended, the one that was started since is looked for."""

    def __init__(self, actor: Any) -> None:
        """`actor`: the supervisor."""
        self._actor = actor
        self._asked: Any = None
        """A reference to the status that is awaited: while it is late, no other is asked for."""

    def status(self) -> Mapping[str, Any]:
        """Not to be called by two threads at the same time. Raises EngineError if the fleet does not answer."""
        import ray

        if self._actor is None:
            self._actor = required()
        if self._asked is None:
            self._asked = self._actor.status.remote()
        try:
            found: Mapping[str, Any] = ray.get(self._asked, timeout=STATUS_WITHIN_S)
        except ray.exceptions.GetTimeoutError as error:
            raise EngineError(
                f"the supervisor of the fleet has not answered for {STATUS_WITHIN_S:.0f} s; see Ray's logs"
            ) from error
        except ray.exceptions.RayError as error:
            self._actor = self._asked = None
            raise EngineError(
                "the supervisor of the fleet does not answer; see Ray's logs, or start a fleet: i3d-live fleet site.toml"
            ) from error
        self._asked = None
        return found

    def thumbnail(self, name: str) -> bytes | None:
        """None also if it takes too long."""
        import ray

        actor = self._actor
        if actor is None:
            return None
        try:
            found: bytes | None = ray.get(actor.thumbnail.remote(name), timeout=PICTURE_WITHIN_S)
        except ray.exceptions.RayError:
            return None
        return found
