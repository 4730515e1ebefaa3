"""The page of a fleet: all cameras, and the machines that watch them. Without Gradio.

GET  /                              the page
GET  /live/static/NAME              script and style
GET  /live/fleet/state              see `realtime.view.fleet_state`; 503 and {"error": ...} while the fleet is silent
GET  /live/fleet/picture/KEY        the newest picture of a camera, JPEG; 204 if there is none
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from realtime.view.fleet_answers import Fleet, FleetAnswers
from realtime.view.static_files import STATIC, problem, static

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""In addition to that of `access.Guard`, which has to allow what Gradio does."""
NEVER_KEPT = {"cache-control": "no-store"}


def fleet_app(fleet: Fleet) -> Starlette:
    """The application behind `access.Guard`."""
    answers = FleetAnswers(fleet)

    async def page(request: Request) -> Response:
        headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
        return FileResponse(STATIC / "fleet.html", headers=headers)

    async def state(request: Request) -> Response:
        found = await answers.state()
        if found.problem is not None:
            return problem(503, found.problem)
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = NEVER_KEPT | ({"content-encoding": "gzip"} if packed else {})
        return Response(found.packed if packed else found.plain, 200, headers, "application/json")

    async def picture(request: Request) -> Response:
        try:
            jpeg = await answers.picture(request.path_params["key"])
        except KeyError:  # gone since the page asked last
            jpeg = None
        return Response(jpeg, 204 if jpeg is None else 200, NEVER_KEPT, "image/jpeg")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/live/static/{name}", static),
            Route("/live/fleet/state", state),
            Route("/live/fleet/picture/{key}", picture),
        ]
    )
