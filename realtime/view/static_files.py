"""Script and style of the pages: GET /live/static/NAME."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

STATIC = Path(__file__).with_name("static")


async def static(request: Request) -> Response:
    """The file of the path's `name`."""
    path = STATIC / request.path_params["name"]
    if path.parent != STATIC or not path.is_file():
        return problem(404, "there is no such file")
    return FileResponse(path, headers={"cache-control": "no-cache"})


def problem(status: int, message: str) -> Response:
    """An error, for the viewer to read."""
    return JSONResponse({"error": message}, status)
