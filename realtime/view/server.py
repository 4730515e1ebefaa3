"""The application of the live view: the page, the routes, and the sweeping."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from fastapi import FastAPI

from realtime.view.hub import Hub
from realtime.view.page import mount
from realtime.view.routes import routes
from realtime.view.settings import Settings

SWEEP_EVERY_S = 0.5


def make_app(hub: Hub, defaults: Settings, labels: Sequence[str]) -> FastAPI:
    """The application behind `access.Guard`. Closes the hub when it ends."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            hub.sweep()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(sweep())
        yield
        sweeper.cancel()
        await asyncio.to_thread(hub.close)

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, routes=routes(hub))
    mount(app, hub, defaults, labels)
    return app
