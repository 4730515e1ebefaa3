"""Whether a file is a self-contained video."""

import os
from pathlib import Path

SELF_CONTAINED = [
    "amv",
    "apng",
    "asf",
    "av1",
    "avi",
    "avs",
    "avs2",
    "avs3",
    "bink",
    "cavsvideo",
    "cdxl",
    "cine",
    "dhav",
    "dirac",
    "dnxhd",
    "dv",
    "dxa",
    "flic",
    "flv",
    "gif",
    "gxf",
    "h261",
    "h263",
    "h264",
    "hevc",
    "ivf",
    "live_flv",
    "lvf",
    "m4v",
    "matroska",
    "mgsts",
    "mjpeg",
    "mjpeg_2000",
    "mov",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "mpjpeg",
    "mtv",
    "mv",
    "mvi",
    "mxf",
    "nsv",
    "nut",
    "obu",
    "ogg",
    "pmp",
    "r3d",
    "rl2",
    "rm",
    "roq",
    "rpl",
    "sdr2",
    "smjpeg",
    "smk",
    "swf",
    "thp",
    "vc1",
    "vc1test",
    "vivo",
    "vvc",
    "webm",
    "wsvqa",
    "wtv",
    "xmv",
    "yop",
    "yuv4mpegpipe",
]
"""FFmpeg's names of formats that contain their own pictures. Left out: playlists and other texts, which name files
and addresses that FFmpeg would open, single pictures, and devices."""


def is_video(path: Path) -> bool:
    """Whether FFmpeg reads the file as a video. Other kinds of files are not opened."""
    import av

    options = {"format_whitelist": ",".join(SELF_CONTAINED)}
    try:
        with av.open(os.path.abspath(path), options=options) as container:
            return len(container.streams.video) > 0
    except (av.error.FFmpegError, ValueError):
        return False
