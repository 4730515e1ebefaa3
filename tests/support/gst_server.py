"""GStreamer's RTSP server for one file, run by the system's Python: gst_server.py FOLDER PORT serves FOLDER/clip.mp4
at /clip.mp4."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[2])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[1]}/clip.mp4 ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )"
)
server.get_mount_points().add_factory("/clip.mp4", factory)
server.attach(None)
GLib.MainLoop().run()
