"""Shared by all tests: the real clips, reference results, the order of the files, and what a missing GPU means."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: no example has to be quick.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).parent.parent
CLIPS = ROOT.parent / "shared" / "clips"

LONG_FILES = (
    "realtime/view/test_start.py",
    "realtime/teaching/test_clip_features.py",
    "engines/backends/test_openvino.py",
    "realtime/view/test_browser.py",
    "realtime/view/test_webcam.py",
    "realtime/view/test_real.py",
    "realtime/commands/test_base_alone.py",
    "realtime/commands/test_cli.py",
    "live/test_kill.py",
    "live/test_run_live.py",
    "realtime/commands/test_bundle_elsewhere.py",
    "realtime/test_many.py",
    "live/test_soak.py",
    "engines/test_cells.py",
    "engines/backends/test_few_bits.py",
    "test_docker.py",
    "realtime/cluster/test_archives.py",
    "realtime/fleet/test_fleet.py",
)
"""They run first: otherwise one of two processes would still be busy with one of them when the other has nothing left
to do."""


if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    # As under nohup. What is started from here would ignore a hang-up, as it should, and tests say what it does at one.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of the four real clips."""
    if not CLIPS.is_dir():
        pytest.skip("the real clips (../shared/clips) are not part of the repository; CI has them")
    return CLIPS


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Reference results of an independent implementation; tests/data/README.md says how they were made."""
    with np.load(ROOT / "tests" / "data" / "rgb_i3d_kinetics400.npz") as arrays:
        return dict(arrays)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first. Without a CUDA device, `gpu` tests are skipped; with REQUIRE_GPU=1 that is an error."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_items:
        return
    import torch

    if torch.cuda.is_available():
        return
    if os.environ.get("REQUIRE_GPU") == "1":
        raise pytest.UsageError("REQUIRE_GPU=1 is set, but torch finds no CUDA device on this machine")
    for item in gpu_items:
        item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
