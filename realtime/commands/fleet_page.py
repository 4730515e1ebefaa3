"""`i3d-live fleet view`: all cameras of a fleet in a browser."""

import functools
from typing import Annotated

from engines.extras import absent, require
from realtime.commands.flags import Only
from realtime.commands.fleet import Address
from realtime.commands.fleet_connection import FIRST_STATUS_WITHIN_S, FleetConnection, answer_from
from realtime.commands.server import ServerOptions, shown_address
from realtime.view.access import is_local


def view(
    cluster: Address = "auto",
    server: Annotated[ServerOptions, Only(("host", "port", "password_file"))] = ServerOptions(),
) -> None:
    """Show all cameras of the fleet in the browser: their pictures, what is being done, and the machines.

    It runs on any machine of the cluster. The fleet goes on when it ends.
    """
    password = server.password()
    require("--cluster", "ray", "cluster")
    try:
        from realtime.view.fleet_page import fleet_app
        from realtime.view.web_server import bind, serve_app
    except ImportError as error:
        raise absent("the page of a fleet", error, "view") from error

    fleet = FleetConnection(functools.partial(answer_from, cluster))
    with bind(server.host, server.port) as listener:
        note = "" if password is None else ", with the password"
        address = shown_address(server.host, listener.getsockname()[1])
        line = f"Fleet view: {address}{note}    (Ctrl-C stops it)"
        try:
            fleet.status(FIRST_STATUS_WITHIN_S)
            serve_app(
                fleet_app(fleet),
                listener=listener,
                local=is_local(server.host),
                password=password,
                started=lambda: print(line, flush=True),
            )
        finally:
            fleet.close()
