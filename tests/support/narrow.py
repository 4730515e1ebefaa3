"""A network a sixteenth as wide, stored as weights, so that its engines are built quickly."""

from pathlib import Path

import pytest

from engines.weights import formats
from engines.weights.fetch import save_weights


def save_narrow(cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Into an own cache folder, until the end of the test; its name."""
    import torch

    from engines.nets.i3d import I3D

    torch.manual_seed(0)
    net = I3D(5, 3, divide=16)
    tensors = {n: t.numpy() for n, t in net.state_dict().items() if not n.endswith("num_batches_tracked")}
    shapes: dict[str, tuple[int, ...]] = {name: tensor.shape for name, tensor in tensors.items()}
    monkeypatch.setitem(formats.SHAPES, "i3d", lambda *_: shapes)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    save_weights("narrow", "rgb", tensors, tuple("abcde"), source="made for a test", licence="none")
    return "narrow"
