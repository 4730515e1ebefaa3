"""The parts of `benchmarks.gpu_check` that measure, one a process. Each prints a JSON object a figure.

    python -m benchmarks.gpu_parts machine | weights | flow | end_to_end BACKEND

No GPU has run this yet. Milliseconds are of the wall clock and include the copies to and from the GPU, unless stated
otherwise; wrong results are not timed.
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.gpu_check import NOT_INSTALLED
from engines.backends.registry import Backend, backend_module
from engines.errors import EngineError

PACKAGES = (*card.PACKAGES, "torch-tensorrt", "tensorrt-cu13", "tensorrt-rtx-cu13")
RANDOM = "random-both-streams"
SIZE_PX, BATCHES = 256, (1, 8, 64)
FURTHEST_PX = 0.05
"""Allowed from field to field on average, as in the tests."""


def tell(name: str, figures: Any) -> None:
    print(json.dumps({name: figures}), flush=True)


def machine() -> None:
    """Driver, GPU, and versions in this interpreter."""
    asked = "name,driver_version,compute_cap,memory.total,clocks.max.sm,power.limit"
    try:
        query = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
        told = subprocess.run(query, capture_output=True, text=True, timeout=20)
        tell("nvidia-smi", {asked: (told.stdout or told.stderr).strip()})
    except (OSError, subprocess.TimeoutExpired) as error:
        tell("nvidia-smi", str(error))
    versions = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    tell("versions", versions)
    import torch

    if not torch.cuda.is_available():
        raise SystemExit(f"torch {torch.__version__} finds no CUDA device")
    capability = "{}.{}".format(*torch.cuda.get_device_capability())
    tell(
        "torch",
        {"device": torch.cuda.get_device_name(), "capability": capability, "cuda": torch.version.cuda},
    )


def weights() -> None:
    """Fetch real weights. Random ones are stored before, for the other parts, in case that fails or takes too long."""
    from benchmarks.material import MODEL, store_model
    from engines.weights.fetch import has_weights, save_weights
    from tests.support.networks import random_tensors

    labels = tuple(f"class {i}" for i in range(400))
    for modality, channels in (("rgb", 3), ("flow", 2)):
        if not has_weights(MODEL, modality) and not has_weights(RANDOM, modality):
            tensors = random_tensors(channels, len(labels), divide=1)
            save_weights(RANDOM, modality, tensors, labels, source="random", licence="none")
    tell("weights", "random")
    try:
        store_model()
        tell("weights", f"{MODEL}: RGB from Kinetics, and flow made from it")
    except EngineError as error:
        tell("no others, because", str(error))


def stored() -> str:
    """The model that `weights` has stored."""
    from benchmarks.material import MODEL
    from engines.weights.fetch import has_weights

    return MODEL if has_weights(MODEL, "flow") else RANDOM


def flow() -> None:
    """TV-L1 by Triton and one CUDA graph, compared with the CPU's on scenes whose motion is known."""
    from realtime.flow.residuals import energy
    from realtime.flow.tvl1 import TvL1
    from realtime.flow.tvl1_cuda import TvL1Cuda
    from tests.support.scenes import known_motions

    scenes = known_motions(SIZE_PX)
    previous, following = (np.stack([getattr(s, side) for s in scenes]) for side in ("previous", "following"))
    cpu = TvL1(SIZE_PX, SIZE_PX)
    ours = np.stack([cpu(*pair) for pair in zip(previous, following, strict=True)])
    began_s = time.perf_counter()
    theirs = TvL1Cuda(len(scenes), SIZE_PX, SIZE_PX)(previous, following).cpu().numpy()
    tell("compile and capture, s", round(time.perf_counter() - began_s, 2))
    apart_px = np.hypot(*np.moveaxis(theirs - ours, 1, 0)).mean(axis=(1, 2))
    energies = [
        np.mean([energy(*pair) for pair in zip(previous, following, fields, strict=True)])
        for fields in (ours, theirs)
    ]
    errors = [
        np.mean([np.hypot(*(f - s.flow))[s.visible].mean() for s, f in zip(scenes, fields, strict=True)])
        for fields in (ours, theirs)
    ]
    names = ("cpu", "gpu")
    tell("apart, px", {"mean": float(apart_px.mean()), "worst scene": float(apart_px.max())})
    tell("energy", dict(zip(names, map(float, energies), strict=True)))
    tell("end-point error, px", dict(zip(names, map(float, errors), strict=True)))
    card.verify("mean distance of the fields in px", float(apart_px.mean()), at_most=FURTHEST_PX)
    tell("cpu, ms a field", card.time_ms(lambda: cpu(previous[0], following[0]), repeats=50))
    for batch in BATCHES:
        tell(f"gpu, {batch} at a time", flow_ms(batch, previous, following))


def flow_ms(batch: int, previous: Any, following: Any) -> dict[str, float]:
    """With pictures that are on the GPU, and with upload and download."""
    import torch

    from realtime.flow.tvl1_cuda import TvL1Cuda

    many = TvL1Cuda(batch, SIZE_PX, SIZE_PX)
    pictures = [np.resize(side, (batch, SIZE_PX, SIZE_PX)) for side in (previous, following)]
    there = [torch.from_numpy(side).cuda() for side in pictures]

    def resident() -> None:
        many(*there)
        torch.cuda.synchronize()

    alone = card.time_ms(resident, repeats=50)["median_ms"]
    copied = card.time_ms(lambda: many(*pictures).cpu(), repeats=50)["median_ms"]
    return {
        "ms a field": round(alone / batch, 4),
        "with copies": round(copied / batch, 4),
        "median_ms": alone,
    }


def gpu_backend(name: str) -> Backend:
    """The backend. Ends the part if its package is not here, or with the reason why it runs on no GPU."""
    try:
        backend = backend_module(name)
    except EngineError as error:
        print(error, flush=True)
        sys.exit(NOT_INSTALLED)
    if against := backend.unavailable():
        raise SystemExit(against)
    if backend.device().startswith("CPU"):
        raise SystemExit(f"{name} finds no CUDA device")
    return backend


def end_to_end(name: str) -> None:
    """A 1080p30 file through everything, both streams, with the CPU's flow and the GPU's: share of real time."""
    from benchmarks.end_to_end import run
    from benchmarks.latency import write_1080p
    from engines.load import load_engines

    gpu_backend(name)
    engines = load_engines(stored(), name, None, "continual", "both", concurrent=True)
    with tempfile.TemporaryDirectory() as folder:
        file, log = Path(folder) / "1080p30.mp4", Path(folder) / "log.jsonl"
        write_1080p(file)
        for method in ("tvl1", "tvl1-cuda"):
            run(file, engines, log, flow=method)
            tell(method, run(file, engines, log, flow=method))


if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    {"machine": machine, "weights": weights, "flow": flow, "end_to_end": end_to_end}[part](*arguments)
