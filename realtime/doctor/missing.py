"""What is missing on this machine, and the command that fixes it."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from glob import glob
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from engines.backends.registry import REGISTRY, backend_module
from engines.errors import EngineError
from engines.extras import BRINGS, install, missing
from realtime.errors import OutputError

Area = Literal["backend", "extra", "weights", "source", "output"]


@dataclass(frozen=True)
class Finding:
    """One thing that is present or missing."""

    area: Area
    what: str
    there: bool
    says: str
    """What was found, or why it cannot be used."""
    mend: str = ""
    """What to do about it if it is missing."""


def findings() -> Iterator[Finding]:
    """Everything that this machine has and lacks. Nothing is fetched or installed."""
    yield from _backends()
    yield from _extras()
    yield from _weights()
    yield from _sources()
    yield from _outputs()


def _backends() -> Iterator[Finding]:
    for name, (_, package, how) in REGISTRY.items():
        try:
            module = backend_module(name)
            against = module.unavailable()
        except (EngineError, ImportError) as error:
            against = str(error).removesuffix(f": {how}")
        if against is None:
            found = f"{', '.join(module.precisions())} on {module.device()}"
            yield Finding("backend", name, True, found)
        else:
            mend = how if importlib.util.find_spec(package) is None else ""
            yield Finding("backend", name, False, against, mend)


def _extras() -> Iterator[Finding]:
    for what, extra in (
        ("int8", "int8"),
        ("reference in torch", "torch"),
        ("teach", "teach"),
        ("train", "train"),
        ("view", "view"),
    ):
        lacking = missing(extra)
        says = f"{', '.join(lacking)} missing" if lacking else ", ".join(BRINGS[extra])
        yield Finding("extra", what, not lacking, says, install(extra) if lacking else "")


def _weights() -> Iterator[Finding]:
    from engines.weights.fetch import list_models

    for model in list_models():
        there = [stream.modality for stream in model.streams if stream.stored]
        lacking = [stream.modality for stream in model.streams if not stream.stored]
        says = " + ".join(there) or "not here"
        if lacking:
            says += f", without {', '.join(lacking)}" if there else ""
        mend = f"i3d-live weights fetch {model.name}" if lacking else ""
        yield Finding("weights", model.name, bool(there), says, mend)


def _sources() -> Iterator[Finding]:
    yield Finding("source", "files, RTSP, HTTP", True, f"av {version('av')} with its own FFmpeg")
    if not sys.platform.startswith("linux"):
        yield Finding("source", "webcam", True, "asked for when it is opened")
        return
    devices = sorted(glob("/dev/video[0-9]*"))
    yield webcam(devices, [device for device in devices if os.access(device, os.R_OK | os.W_OK)])


def webcam(devices: Sequence[str], usable: Sequence[str]) -> Finding:
    """Whether there is a camera. `usable`: those of the `devices` that may be opened."""
    names = ", ".join("webcam:" + device.removeprefix("/dev/video") for device in usable or devices)
    if usable:
        return Finding("source", "webcam", True, names)
    if devices:
        mend = 'sudo usermod -aG video "$USER", then log in again'
        return Finding("source", "webcam", False, f"no permission for {names}", mend)
    mend = "plug one in; in a container: docker run --device /dev/video0"
    return Finding("source", "webcam", False, "no /dev/video*", mend)


def _outputs() -> Iterator[Finding]:
    against = _encoder_trouble()
    mend = "pip install --force-reinstall av" if against else ""
    yield Finding("output", "annotated video, clips", against is None, against or "H.264", mend)
    for what, package in (("metrics", "prometheus_client"), ("MQTT", "paho")):
        there = importlib.util.find_spec(package) is not None
        name = {"prometheus_client": "prometheus-client", "paho": "paho-mqtt"}[package]
        mend = "" if there else f"pip install {name}"
        yield Finding("output", what, there, f"{name} {version(name)}" if there else f"{name} missing", mend)
    folder = shutil.disk_usage(os.getcwd())
    free_gb = folder.free / 1e9
    mend = "" if free_gb >= 1 else "write logs and clips elsewhere, or make room"
    yield Finding("output", "disk", free_gb >= 1, f"{free_gb:.1f} GB free here", mend)


def _encoder_trouble() -> str | None:
    """Why a video cannot be written, found out by writing one; None if it can."""
    from realtime.outputs.video_file import VideoWriter

    try:
        with TemporaryDirectory() as folder, VideoWriter(Path(folder) / "try.mp4", (16, 16)) as writer:
            writer.write(np.zeros((16, 16, 3), np.uint8), Fraction(0))
    except OutputError as error:
        return str(error)
    return None
