"""The road of a page's webcam: WS /live/TOKEN/camera.

The page sends one binary message a picture: eight bytes that say when it was taken (float64, little-endian, ms since
1970 by the page's clock), then the JPEG. Each is answered with the number of pictures received so far, as text, so that
the page can bound how many are under way.
"""

import struct

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.errors import UsageError
from realtime.view.hub import Hub

TAKEN = struct.Struct("<d")
REFUSED = 4400
"""Close code: a message that is no picture."""
GONE, ENDED = 4404, "this stream has ended; press Start"
"""Close code, and the words for the viewer: there is no such channel any more."""


async def take_pictures(socket: WebSocket, hub: Hub) -> None:
    """Pass pictures to the channel of the socket's token, until one side disconnects.

    One that comes before the channel has opened its camera is received and left out.
    """
    await socket.accept()
    received = 0
    try:
        while True:
            message = await socket.receive_bytes()
            channel = hub.find(socket.path_params["token"])
            if channel is None:
                await socket.close(GONE, ENDED)
                return
            taken_ms, jpeg = read_picture(message)
            if channel.camera is not None:
                channel.camera.put(jpeg, taken_ms)
            received += 1
            await socket.send_text(str(received))
    except UsageError as error:
        await socket.close(REFUSED, str(error))
    except KeyError:
        await socket.close(REFUSED, "a picture as text; send bytes")
    except WebSocketDisconnect:
        pass


def read_picture(message: bytes) -> tuple[float, bytes]:
    """(when it was taken, in ms since 1970 by the page's clock; JPEG). Raises UsageError for one that is too short."""
    if len(message) < TAKEN.size:
        raise UsageError(f"a picture of {len(message)} bytes; send eight bytes of time, then a JPEG")
    (taken_ms,) = TAKEN.unpack_from(message)
    return taken_ms, message[TAKEN.size :]
