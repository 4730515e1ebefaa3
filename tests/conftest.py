"""What several tests share: the real clips and weights where they are at hand, and what a missing GPU means."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
CLIPS = ROOT.parent / "shared" / "clips"


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def clips() -> Path:
    """Folder of the four real clips."""
    if not CLIPS.is_dir():
        pytest.skip("the real clips (../shared/clips) are not part of the repository; they are here in CI")
    return CLIPS


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Reference answers of an independent implementation; tests/data/README.md tells how they were made."""
    with np.load(ROOT / "tests" / "data" / "rgb_i3d_kinetics400.npz") as arrays:
        return dict(arrays)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a CUDA device `gpu` tests are skipped, or fail where one was promised by REQUIRE_GPU=1."""
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
