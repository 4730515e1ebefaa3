"""Weights of a network of three tensors, and a public set of them."""

from pathlib import Path
from typing import Any

import numpy as np

from engines.spec import Modality
from engines.weights import download
from engines.weights import public_sets as public
from engines.weights.download import WebFile
from engines.weights.fetch import save_weights
from tests.support import layouts
from tests.support.webserver import FileServer

Tensors = dict[str, np.ndarray]
LABELS = ("wave", "jump", "run")


def tiny_shapes(classes: int, channels: int) -> dict[str, tuple[int, ...]]:
    return {
        "Conv3d_1a_7x7.conv3d.weight": (4, channels, 1, 1, 1),
        "logits.conv3d.weight": (classes, 4, 1, 1, 1),
    } | {"logits.conv3d.bias": (classes,)}


def made(classes: int = 3, channels: int = 3, seed: int = 0) -> Tensors:
    rng = np.random.default_rng(seed)
    return {n: rng.random(shape, dtype=np.float32) for n, shape in tiny_shapes(classes, channels).items()}


def save(
    name: str = "mine", modality: Modality = "rgb", labels: tuple[str, ...] = LABELS, seed: int = 0
) -> Tensors:
    tensors = made(len(labels), 3 if modality == "rgb" else 2, seed)
    save_weights(name, modality, tensors, labels, source="a test", licence="none")
    return tensors


def same(found: Tensors, wanted: Tensors) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def tiny_flax(tensors: Tensors) -> dict[str, Any]:
    conv, kernel, bias = (tensors[name] for name in tiny_shapes(400, 3))
    last = {"Conv3d_0c_1x1": {"Conv_0": {"kernel": kernel.transpose(2, 3, 4, 1, 0), "bias": bias}}}
    return {
        "params": {"Conv3d_1a_7x7": {"Conv_0": {"kernel": conv.transpose(2, 3, 4, 1, 0)}}, "Logits": last}
    }


class MadeSet:
    """A synthetic public set, `made`: rgb and flow, each at two addresses of one server."""

    def __init__(self, server: FileServer, tmp_path: Path) -> None:
        self.server = server
        self.tensors: dict[Modality, Tensors] = {"rgb": made(400, 3), "flow": made(400, 2)}
        self.table: dict[Modality, tuple[public.Source, ...]] = {}
        for modality, tensors in self.tensors.items():
            plain = layouts.as_torch(tensors)
            lower = {
                n.replace("Conv3d_", "conv3d_").replace("logits", "conv3d_0c_1x1"): t
                for n, t in plain.items()
            }
            self.table[modality] = tuple(
                self.add(f"{modality}{i}.pt", layouts.saved(state, tmp_path / "x.pt", legacy=True))
                for i, state in enumerate((plain, lower))
            )

    def add(self, name: str, path: Path) -> WebFile:
        self.server.files[f"/{name}"] = path.read_bytes()
        return WebFile(f"{self.server.address}/{name}", download.git_blob_id(path), "free")
