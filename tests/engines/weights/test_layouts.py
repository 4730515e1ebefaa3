"""Every layout that weights come in gives the same tensors under our names, and nothing else gets in."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from engines.errors import WeightsError
from engines.nets.i3d import I3D
from engines.nets.i3d_shapes import parameter_shapes
from engines.weights.formats import checked, read_flax, read_weights, to_i3d
from tests.support import layouts

CLASSES = {"rgb": 7, "flow": 400}
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=["rgb", "flow"])
def modality(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def made(modality: Any) -> Arrays:
    return layouts.made_i3d(CLASSES[modality], 3 if modality == "rgb" else 2)


def same(found: Arrays, wanted: Arrays) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def pickled(state: Any, path: Path, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(state, protocol))
    return path


@pytest.mark.parametrize(("classes", "channels"), [(400, 3), (400, 2), (7, 2), (1, 3)])
def test_the_table_of_shapes_is_that_of_the_network(classes: int, channels: int) -> None:
    with torch.device("meta"):
        net = I3D(classes, channels)
    built = {name: tuple(tensor.shape) for name, tensor in layouts.tensors(net)}
    assert list(built.items()) == list(parameter_shapes(classes, channels).items())


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
def test_the_layout_of_pytorch_i3d_is_read(made: Arrays, modality: Any, legacy: bool, tmp_path: Path) -> None:
    path = layouts.saved(layouts.as_torch(made), tmp_path / "rgb_imagenet.pt", legacy=legacy)
    same(to_i3d(read_weights(path), "it", modality), made)


def test_the_layout_of_kinetics_i3d_pytorch_is_read(made: Arrays, modality: Any, tmp_path: Path) -> None:
    state = layouts.as_lower(made, CLASSES[modality], 3 if modality == "rgb" else 2)
    assert {"conv3d_1a_7x7.batch3d.running_var", "mixed_3b.branch_1.0.conv3d.weight"} < set(state)
    assert {"mixed_5c.branch_3.1.batch3d.bias", "conv3d_0c_1x1.conv3d.bias"} < set(state)
    path = layouts.saved(state, tmp_path / "model_rgb.pth", legacy=True)
    same(to_i3d(read_weights(path), "it", modality), made)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_layout_of_flax_is_read(made: Arrays, modality: Any, protocol: int, tmp_path: Path) -> None:
    path = pickled(layouts.as_flax(made), tmp_path / "i3d.ckpt", protocol)
    unscaled = {n: np.ones_like(a) if n.endswith("bn.weight") else a for n, a in made.items()}
    same(to_i3d(read_weights(path), "it", modality), unscaled)


def test_safetensors_are_read(made: Arrays, modality: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(safetensors.numpy.save(made))
    same(to_i3d(read_weights(path), "it", modality), made)


def counted(state: dict[str, Any]) -> dict[str, Any]:
    return state | {"Conv3d_1a_7x7.bn.num_batches_tracked": torch.tensor(5)}


WRAPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer": {"lr": 0.1}},
    "module prefix": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "both, with counters": lambda state: {
        "state_dict": {f"module.{n}": t for n, t in counted(state).items()}
    },
    "parameters": lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
    "double": lambda state: {name: tensor.double() for name, tensor in state.items()},
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_wrapped_tensors_are_read(wrap: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    made = layouts.made_i3d(7, 3)
    same(to_i3d(read_weights(layouts.saved(wrap(layouts.as_torch(made)), tmp_path / "x.pt")), "it"), made)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    made = layouts.as_torch(layouts.made_i3d(7, 3))
    halved = {n: t.to(torch.float16 if "b1" in n else torch.bfloat16) for n, t in made.items()}
    path = layouts.saved(halved, tmp_path / "x.pt")
    same(to_i3d(read_weights(path), "it"), {n: t.float().numpy() for n, t in halved.items()})


PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "backbone.",
    "module._orig_mod.",
    "model.backbone.",
    "net.encoder.",
)


@pytest.mark.parametrize(
    ("prefix", "wrapper"),
    [*zip(PREFIXES, ("", "state_dict", "net", "", "model", "state_dict", "ema"), strict=True), ("", "net")],
)
def test_any_common_prefix_and_wrapper_is_removed(prefix: str, wrapper: str, tmp_path: Path) -> None:
    made = layouts.made_i3d(7, 3)
    state: dict[str, Any] = {f"{prefix}{name}": tensor for name, tensor in layouts.as_torch(made).items()}
    path = layouts.saved({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "x.pt")
    same(to_i3d(read_weights(path), "it"), made)


@pytest.mark.parametrize("prefix", PREFIXES[::3])
def test_a_tensor_outside_the_network_is_named(prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in layouts.as_torch(layouts.made_i3d(7, 3)).items()}
    path = layouts.saved(state | {"criterion.weight": torch.ones(3)}, tmp_path / "x.pt")
    with pytest.raises(WeightsError) as caught:
        to_i3d(read_weights(path), "x.pt")
    assert f"begin with '{prefix}', but it holds 'criterion.weight' too" in str(caught.value)
    assert f"torch.save(model.{prefix[:-1]}.state_dict(), 'weights.pt')" in str(caught.value)


def test_several_networks_are_named(tmp_path: Path) -> None:
    made = layouts.as_torch(layouts.made_i3d(7, 3))
    both = {f"{stream}.{name}": tensor for stream in ("flow", "rgb") for name, tensor in made.items()}
    with pytest.raises(WeightsError, match=r"several networks: 'flow\.', 'rgb\.'; give a file with one"):
        to_i3d(read_weights(layouts.saved(both, tmp_path / "x.pt")), "x.pt")
    path = layouts.saved({"net": made, "ema": made}, tmp_path / "y.pt")
    with pytest.raises(
        WeightsError, match=r"several sets of tensors: 'net', 'ema'; keep one: torch\.save\(torch\.load"
    ):
        read_weights(path)


def test_numpy_archives_are_read(tmp_path: Path) -> None:
    made = layouts.made_i3d(7, 3)
    np.savez(tmp_path / "x.npz", **made)
    same(to_i3d(read_weights(tmp_path / "x.npz"), "it"), made)
    np.savez(tmp_path / "y.npz", a=np.array([{}], object))
    with pytest.raises(WeightsError, match=r"y\.npz cannot be read as a file of numpy arrays"):
        read_weights(tmp_path / "y.npz")


def test_the_error_for_a_whole_module_says_what_to_save(tmp_path: Path) -> None:
    path = layouts.saved(torch.nn.Linear(2, 2), tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"save the model's state_dict\(\) and import that"):
        read_weights(path)


FAULTS: dict[str, tuple[Callable[[Arrays], Any], str]] = {
    "missing": (lambda a: a.pop("Mixed_4d.b2b.bn.running_var"), "Mixed_4d.b2b.bn.running_var is missing"),
    "two missing": (lambda a: [a.pop("logits.conv3d.bias"), a.pop("Mixed_3b.b0.bn.bias")], "(and 1 more)"),
    "no classifier": (lambda a: a.pop("logits.conv3d.weight"), "logits.conv3d.weight is missing"),
    "extra": (lambda a: a.update({"Mixed_6a.b0": np.zeros(3)}), "Mixed_6a.b0 is not part of the network"),
    "misshapen": (
        lambda a: a.update({"Conv3d_2c_3x3.conv3d.weight": np.zeros((192, 64, 3, 3, 1), np.float32)}),
        "Conv3d_2c_3x3.conv3d.weight has shape (192, 64, 3, 3, 1), needs (192, 64, 3, 3, 3)",
    ),
    "four channels": (
        lambda a: a.update({"Conv3d_1a_7x7.conv3d.weight": np.zeros((64, 4, 7, 7, 7), np.float32)}),
        "needs (64, 3, 7, 7, 7)",
    ),
    "scalar classifier": (
        lambda a: a.update({"logits.conv3d.weight": np.float32(3)}),
        "logits.conv3d.weight has shape ()",
    ),
    "bias of another count": (
        lambda a: a.update({"logits.conv3d.bias": np.zeros(8, np.float32)}),
        "logits.conv3d.bias has shape (8,), needs (7,)",
    ),
    "not finite": (
        lambda a: a.update({"Mixed_3c.b1a.bn.bias": np.full(128, np.nan)}),
        "Mixed_3c.b1a.bn.bias is float64",
    ),
    "whole numbers": (
        lambda a: a.update({"logits.conv3d.bias": np.zeros(7, np.int64)}),
        "logits.conv3d.bias is int64",
    ),
}


@pytest.mark.parametrize(("fault", "says"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_fit_is_named(fault: Callable[[Arrays], Any], says: str) -> None:
    arrays = layouts.made_i3d(7, 3)
    fault(arrays)
    with pytest.raises(WeightsError) as caught:
        checked(arrays, "mine.pt")
    assert says in str(caught.value)
    assert str(caught.value).startswith("mine.pt does not fit I3D (rgb): ")


@pytest.mark.parametrize("layout", ["flax", "lower"])
def test_foreign_names_are_not_ignored(layout: str, tmp_path: Path) -> None:
    made = layouts.made_i3d(7, 3)
    if layout == "flax":
        tree = layouts.as_flax(made)
        tree["params"]["Mixed_3b"]["Branch_0"]["Conv3d_0b_3x3"] = {
            "Conv_0": {"kernel": np.zeros((1, 1, 1, 1, 1))}
        }
        arrays, extra = (
            read_flax(pickle.dumps(tree), "it"),
            "params/Mixed_3b/Branch_0/Conv3d_0b_3x3/Conv_0/kernel",
        )
    else:
        state = layouts.as_lower(made, 7, 3) | {"mixed_3b.branch_3.0.conv3d.weight": torch.zeros(1)}
        arrays, extra = {n: t.numpy() for n, t in state.items()}, "Mixed_3b.branch_3.0.conv3d.weight"
    with pytest.raises(WeightsError, match=f"{extra} is not part of the network$"):
        to_i3d(arrays, "it")


def test_one_tensor_under_two_names_is_refused(tmp_path: Path) -> None:
    state = layouts.as_lower(layouts.made_i3d(7, 3), 7, 3)
    arrays = {n: t.numpy() for n, t in state.items()} | {"logits.conv3d.bias": np.zeros(7, np.float32)}
    with pytest.raises(WeightsError, match=r"it holds logits\.conv3d\.bias twice"):
        to_i3d(arrays, "it")


def test_a_stream_is_not_taken_for_the_other() -> None:
    with pytest.raises(
        WeightsError, match=r"\(rgb\): Conv3d_1a_7x7\.conv3d\.weight has shape \(64, 2, 7, 7, 7\)"
    ):
        to_i3d(layouts.made_i3d(400, 2), "flow.pt", "rgb")


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("kind", ["flax", "object array", "torch", "legacy torch"])
def test_a_pickle_runs_nothing(kind: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "it ran", tmp_path / "evil"
    hidden = np.empty(1, object)
    hidden[0] = Evil(mark)
    if kind in ("flax", "object array"):
        pickled({"params": hidden if kind == "object array" else Evil(mark)}, path)
    else:
        layouts.saved({"logits": Evil(mark)}, path, legacy=kind == "legacy torch")
    with pytest.raises(WeightsError, match="evil cannot be read as a"):
        read_weights(path)
    assert not mark.exists()
    if kind in ("flax", "object array"):
        pickle.loads(path.read_bytes())  # so the file can do what the test says
        assert mark.exists()


def test_pickles_of_numpy_1_and_2_are_read() -> None:
    for core in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        data = pickle.dumps({"a": np.arange(3.0)}, 3).replace(b"numpy._core.multiarray", core)
        assert core in data
        np.testing.assert_array_equal(read_flax(data, "it")["a"], np.arange(3.0))


JUNK = {
    "empty": b"",
    "text": b"these are not the weights you are looking for",
    "zip": b"PK\x03\x04 and then nothing",
    "pickle cut short": pickle.dumps({"a": np.arange(9.0)})[:60],
    "pickle of a list": pickle.dumps([1, 2], 4),
    "pickle that contains itself": b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01h\x00s.",
    "torch cut short": b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
    "safetensors cut short": safetensors.numpy.save({"a": np.arange(9.0)})[:-8],
    "safetensors of bfloat16": safetensors.torch.save({"a": torch.ones(2, dtype=torch.bfloat16)}),
}


@pytest.mark.parametrize("data", JUNK.values(), ids=JUNK)
def test_junk_is_an_error_of_one_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "junk.pt"
    path.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    assert "junk.pt" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "state", [[1, 2], {"a": torch.ones(1), "epoch": 3}, {"a": torch.ones(2).to_sparse()}]
)
def test_what_is_not_a_state_dict_is_refused(state: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"x\.pt (holds|is no state dict)"):
        read_weights(layouts.saved(state, tmp_path / "x.pt"))
