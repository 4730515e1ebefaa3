"""A fleet on a real Ray cluster of this machine, with cameras from a real RTSP server, and what its log must hold."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import ray
from jsonschema import Draft202012Validator

from realtime.commands.fleet_posts import SPACE
from realtime.commands.fleet_supervisor import NAME
from realtime.fleet.journal import NOT_WATCHED
from realtime.outputs.log import SCHEMA
from realtime.sources.open import open_video

Line = dict[str, Any]
SIZE_PX = (320, 180)
FPS = 25


def write_camera(clip: Path, path: Path, seconds: float) -> Path:
    """A real clip, small, there and back again for so long."""
    with open_video(clip) as video:
        pictures = [
            av.VideoFrame.from_ndarray(frame.rgb, format="rgb24").reformat(*SIZE_PX, "yuv420p")
            for frame in video
        ]
    pictures += pictures[::-1]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": str(FPS)})
        stream.width, stream.height = SIZE_PX
        stream.pix_fmt = "yuv420p"
        for i in range(round(seconds * FPS)):
            picture = pictures[i % len(pictures)]
            picture.pts, picture.time_base = i, Fraction(1, FPS)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


def write_site(path: Path, urls: Sequence[str], *, precision: str, output: str = "") -> Path:
    """cam1, cam2 and so on."""
    cameras = [f'[[camera]]\nname = "cam{i}"\naddress = "{url}"' for i, url in enumerate(urls, start=1)]
    look = f'[recognition]\nmodel = "kinetics"\nprecision = "{precision}"\n'
    path.write_text("\n".join([*cameras, look, output]))
    return path


def read(log: Path) -> list[Line]:
    """The complete lines."""
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def unix_s(text: str) -> float:
    """Of a time in the log."""
    return datetime.fromisoformat(text).timestamp()


def at_s(line: Line) -> float:
    """Unix time."""
    return unix_s(line["at"])


def wait(until: Callable[[], Any], seconds: float, what: str) -> Any:
    """What it gives, once that is true."""
    deadline_s = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < deadline_s, what
        time.sleep(0.1)
    return found


def answers_since(log: Path, since_s: float) -> dict[str, Line]:
    """By camera: its first prediction since then."""
    found: dict[str, Line] = {}
    for line in read(log):
        if line["kind"] == "prediction" and at_s(line) >= since_s:
            found.setdefault(line["name"], line)
    return found


def wait_for_answers(log: Path, cameras: int, since_s: float, seconds: float) -> dict[str, Line]:
    """By camera: its first prediction since then, of all cameras."""

    def all_of_them() -> dict[str, Line] | None:
        found = answers_since(log, since_s)
        return found if len(found) == cameras else None

    found: dict[str, Line] = wait(
        all_of_them, seconds, f"not all {cameras} cameras answer within {seconds} s"
    )
    return found


def killed(line: Line, numbers: Mapping[tuple[str, int], list[int]]) -> bool:
    """Whether a session begins in a new term, without a summary of the one before: its node was killed."""
    return line["kind"] == "session" and (line["name"], line["term"]) not in numbers


def check_log(lines: Sequence[Line]) -> None:
    """Each is valid. No line is lost within a term, none is doubled, what has ended begins with its first line, and
    each new term has a line that says for how long nobody watched."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for line in lines:
        validator.validate(line)
    numbers: dict[tuple[str, int], list[int]] = {}
    terms: dict[str, list[int]] = {}
    ended: dict[str, bool] = {}
    for line in lines:
        if "number" in line:
            assert ended.get(line["name"], True) == (line["kind"] == "session") or killed(line, numbers), line
            ended[line["name"]] = line["kind"] == "summary"
            numbers.setdefault((line["name"], line["term"]), []).append(line["number"])
            seen = line["kind"] not in NOT_WATCHED
            if seen and line["term"] not in terms.setdefault(line["name"], []):
                terms[line["name"]].append(line["term"])
    for key, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), key
    for name, found in terms.items():
        assert found == sorted(found), name
        moved = [line for line in lines if line["kind"] == "moved" and line["name"] == name]
        assert len(moved) == len(found) - 1, name


def supervisor() -> Any:
    """In a program that is part of the cluster."""
    return ray.get_actor(NAME, SPACE)
