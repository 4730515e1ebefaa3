"""PyTorch's files without torch: the same numbers as torch.load gives, and nothing from a file that is not as
torch.save writes it."""

import io
import pickle
import pickletools
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.errors import WeightsError
from engines.weights.formats import read_torch
from engines.weights.torch_files import Tensor, read_torch_file
from tests.support import layouts

FORMATS = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def numbers(dtype: torch.dtype) -> torch.Tensor:
    return (torch.arange(-12, 12) / 5).reshape(2, 3, 4).to(dtype)


def shared() -> dict[str, torch.Tensor]:
    whole = torch.arange(60.0).reshape(3, 4, 5)
    return {
        "whole": whole,
        "part": whole[1:, 2],
        "turned": whole.permute(2, 0, 1),
        "every other": whole.flatten()[7::2],
        "one": whole[2, 3, 4],
        "none": whole[:, :0],
        "repeated": whole[0, 0, :1].expand(4, 3),
    }


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip
STATES: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
    "every type": lambda: {str(dtype): numbers(dtype) for dtype in DTYPES},
    "shared storages": shared,
    "a network's": lambda: torch.nn.Sequential(
        torch.nn.Conv3d(3, 4, 2), torch.nn.BatchNorm3d(4)
    ).state_dict(),
    "parameters": lambda: dict(torch.nn.Linear(3, 2).named_parameters()),
    "nothing": dict,
}


def same_as_torch(path: Path) -> None:
    state = torch.load(path, weights_only=False)  # weights_only=True would warn about protocols
    found = read_torch(path)
    assert list(found) == list(state)
    for name, tensor in state.items():
        half = tensor.dtype in (torch.float16, torch.bfloat16)
        wanted = (tensor.float() if half else tensor).detach().numpy()
        assert found[name].dtype == wanted.dtype
        np.testing.assert_array_equal(found[name], wanted, strict=True)


@FORMATS
@pytest.mark.parametrize("make", STATES.values(), ids=STATES)
def test_tensors_are_those_that_torch_reads(make: Callable[[], Any], legacy: bool, tmp_path: Path) -> None:
    same_as_torch(layouts.saved(make(), tmp_path / "x.pt", legacy=legacy))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@FORMATS
def test_every_pickle_protocol_is_read(protocol: int, legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(shared(), path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    same_as_torch(path)


@FORMATS
def test_a_checkpoint_with_more_than_tensors_is_read(legacy: bool, tmp_path: Path) -> None:
    net = torch.nn.Linear(3, 2)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    beside = {
        "epoch": 7, "best": 0.5, "name": "mine", "done": False, "none": None, "milestones": Counter([1, 1]),
        "optimiser": optimiser.state_dict(), "shape": torch.Size([1, 2]), "where": torch.device("cpu"),
        "type": torch.float32, "set": {1, 2}, "long": 2**80, "list": [1, [2]],
    }  # fmt: skip
    path = layouts.saved(beside | {"state_dict": net.state_dict()}, tmp_path / "x.pt", legacy=legacy)
    np.testing.assert_array_equal(read_torch(path)["weight"], net.weight.detach().numpy())
    found = read_torch_file(path)
    assert (found["epoch"], found["long"], found["list"]) == (7, 2**80, [1, [2]])
    assert isinstance(found["optimiser"]["state"][0]["momentum_buffer"], Tensor)


def legacy_parts(path: Path) -> tuple[list[bytes], bytes]:
    """The five pickles of a legacy file, and what follows them."""
    file, parts = io.BytesIO(path.read_bytes()), []
    for _ in range(5):
        start = file.tell()
        for _ in pickletools.genops(file):
            pass
        parts.append(file.getvalue()[start : file.tell()])
    return parts, file.read()


def as_python_2_wrote_it(pickled: bytes) -> bytes:
    """The same pickle with names as byte strings, and an OrderedDict made of a list of its items as lists."""
    out, places = b"", [at for _, _, at in pickletools.genops(pickled) if at is not None]
    for (instruction, value, at), end in zip(
        pickletools.genops(pickled), [*places[1:], len(pickled)], strict=True
    ):
        piece = pickled[at:end]
        if instruction.name == "BINUNICODE":
            text = str(value).encode()
            piece = b"U" + bytes([len(text)]) + text
        out += piece
    return out


def test_a_file_that_python_2_wrote_is_read(tmp_path: Path) -> None:
    path = layouts.saved(STATES["a network's"](), tmp_path / "x.pt", legacy=True)
    parts, rest = legacy_parts(path)
    path.write_bytes(b"".join([*parts[:2], *map(as_python_2_wrote_it, parts[2:])]) + rest)
    assert b"U\rlittle_endian" in path.read_bytes()
    same_as_torch(path)


class Items:
    """Pickled as Python 2 pickled an OrderedDict: from a list of lists."""

    def __init__(self, items: dict[str, Any]) -> None:
        self.items = items

    def __reduce__(self) -> Any:
        return OrderedDict, ([[name, value] for name, value in self.items.items()],), {"_metadata": 1}


@FORMATS
def test_an_ordered_dict_of_lists_with_attributes_is_read(legacy: bool, tmp_path: Path) -> None:
    same_as_torch(layouts.saved(Items(shared()), tmp_path / "x.pt", legacy=legacy))


class OldTensor:
    """Pickled as torch 0.3 pickled a tensor."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> Any:
        t = self.tensor
        return torch._utils._rebuild_tensor, (
            t._typed_storage(), t.storage_offset(), tuple(t.size()), t.stride(),
        )  # fmt: skip


def test_a_tensor_of_torch_0_3_is_read(tmp_path: Path) -> None:
    same_as_torch(layouts.saved({"a": OldTensor(numbers(torch.float32))}, tmp_path / "x.pt", legacy=True))


def test_a_storage_that_is_part_of_another_is_read(tmp_path: Path) -> None:
    """As in old files of torch: the last part of a storage's description is not None."""
    path = layouts.saved({"a": torch.arange(10.0)[:4]}, tmp_path / "x.pt", legacy=True)
    parts, rest = legacy_parts(path)
    view = pickle.dumps(("key", 3, 5), 2)[2:-1]
    at = parts[3].index(b"N", parts[3].index(b"K\x0a"))  # after its count, 10
    parts[3] = parts[3][:at] + view + parts[3][at + 1 :]
    path.write_bytes(b"".join(parts) + rest)
    np.testing.assert_array_equal(read_torch(path)["a"], [3, 4, 5, 6])
    same_as_torch(path)
    path.write_bytes(path.read_bytes().replace(view, pickle.dumps(("key", 3, 8), 2)[2:-1]))
    with pytest.raises(WeightsError, match="is shorter than a part of it"):
        read_torch(path)


def other_end(array: np.ndarray) -> bytes:
    return array.byteswap().tobytes()


@FORMATS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64], ids=str)
def test_a_file_that_a_big_endian_machine_wrote_is_read(
    legacy: bool, dtype: torch.dtype, tmp_path: Path
) -> None:
    tensor = numbers(dtype)
    path = layouts.saved({"a": tensor}, tmp_path / "x.pt", legacy=legacy)
    raw = tensor.view(torch.int16).numpy() if dtype == torch.bfloat16 else tensor.numpy()
    if legacy:
        parts, _ = legacy_parts(path)
        facts = pickle.loads(parts[2]) | {"little_endian": False}
        parts[2] = pickle.dumps(facts, 2)
        path.write_bytes(b"".join(parts) + tensor.numel().to_bytes(8, "big") + other_end(raw))
    else:
        rewrite(path, {"byteorder": b"big", "data/0": other_end(raw)})
    np.testing.assert_array_equal(read_torch(path)["a"], tensor.float().numpy())


def rewrite(path: Path, changed: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> Path:
    """The same zip with some of its files changed or left out."""
    with zipfile.ZipFile(path) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in (files | changed).items():
            if data is not None:
                archive.writestr(f"x/{name}", data)
    return path


def test_a_file_that_states_no_byte_order_is_little_endian(tmp_path: Path) -> None:
    path = layouts.saved(shared(), tmp_path / "x.pt")
    rewrite(path, {"byteorder": None, ".format_version": None})
    np.testing.assert_array_equal(read_torch(path)["whole"], shared()["whole"].numpy())


def test_it_needs_no_torch(tmp_path: Path) -> None:
    paths = [layouts.saved(shared(), tmp_path / f"{legacy}.pt", legacy=legacy) for legacy in (False, True)]
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from engines.weights.formats import read_weights\n"
        "for path in sys.argv[1:]: print(float(read_weights(Path(path))['part'].sum()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(float(shared()["part"].sum()))] * 2


# What is damaged or hostile


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


def module() -> torch.nn.Module:
    return torch.nn.Linear(2, 2)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "os.system": (lambda mark: Call(__import__("os").system, f"touch '{mark}'"), "asks for posix.system"),
    "eval": (lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"), "asks for __builtin__.eval"),
    "torch's own": (lambda mark: Call(torch.save, 1, str(mark)), "asks for torch.serialization.save"),
    "a module": (lambda mark: module(), "asks for torch.nn.modules.linear.Linear"),
    "an attribute": (lambda mark: Call(getattr, "x", "y"), "asks for __builtin__.getattr"),
    "a path": (lambda mark: mark, "asks for pathlib.PosixPath"),
}


@FORMATS
@pytest.mark.parametrize(("make", "says"), REFUSED.values(), ids=REFUSED)
def test_a_pickle_that_asks_for_anything_else_is_refused(
    make: Callable[[Path], Any], says: str, legacy: bool, tmp_path: Path
) -> None:
    mark = tmp_path / "it ran"
    path = layouts.saved({"a": torch.ones(1), "b": make(mark)}, tmp_path / "x.pt", legacy=legacy)
    with pytest.raises(WeightsError) as caught:
        read_torch(path)
    text = str(caught.value)
    assert text.startswith(
        f"{path} cannot be read as a PyTorch file of tensors alone: it {says}; save the model"
    )
    assert not mark.exists()
    assert "\n" not in text


@FORMATS
@pytest.mark.parametrize(
    "tensor",
    [torch.ones(2).to_sparse(), torch.ones(2, dtype=torch.uint16)],
    ids=["sparse", "a new type"],
)
def test_tensors_that_are_not_plain_numbers_are_refused(
    tensor: torch.Tensor, legacy: bool, tmp_path: Path
) -> None:
    path = layouts.saved({"a": tensor}, tmp_path / "x.pt", legacy=legacy)
    with pytest.raises(WeightsError, match=r"x\.pt holds tensors that are not plain arrays: "):
        read_torch(path)


PUT = b"\x80\x02"
MADE_PICKLES = {
    "an attribute of a constructor": (
        PUT + b"ccollections\nOrderedDict\n}b.",
        "it makes or changes a _Constructor",
    ),
    "a call of a number": (PUT + b"K\x01)R.", "it makes or changes a int"),
    "a class by itself": (PUT + b"ccollections\nOrderedDict\n)\x81.", "instruction NEWOBJ"),
    "an extension": (PUT + b"\x82\x01.", "instruction EXT1"),
    "a text that is an id": (PUT + b"Pstorage\n.", "instruction PERSID"),
    "no storage": (PUT + b"ctorch._utils\n_rebuild_tensor\n(K\x01K\x00))tR.", "has no storage"),
    "items for a number": (PUT + b"K\x01K\x02a.", "items for a list go to a int"),
    "more than there is": (PUT + b"K\x01\x87.", "takes more than there is"),
    "what was never put": (PUT + b"h\x07.", "damaged: 7"),
    "not an instruction": (PUT + b"\xff.", "damaged"),
    "nothing": (PUT + b".", "damaged"),
    "cut": (PUT + b"X\xff\xff\xff\x7fabc", "damaged"),
}


@pytest.mark.parametrize(("pickled", "says"), MADE_PICKLES.values(), ids=MADE_PICKLES)
def test_a_pickle_that_torch_would_not_write_is_refused(pickled: bytes, says: str, tmp_path: Path) -> None:
    path = layouts.saved({"a": torch.ones(1)}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=says):
        read_torch(rewrite(path, {"data.pkl": pickled}))


def with_size(path: Path, old: bytes, new: bytes) -> Path:
    """The legacy file with another size, stride or offset of its tensor."""
    parts, rest = legacy_parts(path)
    assert parts[3].count(old) == 1
    parts[3] = parts[3].replace(old, new)
    path.write_bytes(b"".join(parts) + rest)
    return path


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (b"K\x01K\x07\x85", "takes number 7 of a storage of 7"),
        (b"K\x00K\x08\x85", "takes number 7 of a storage of 7"),
        (b"J\xff\xff\xff\xffK\x07\x85", "make no tensor"),
        (b"K\x00J\xff\xff\xff\xff\x85", "make no tensor"),
        (b"K\x00K\x07K\x07\x86", "make no tensor"),
        (b"K\x00\x8a\x0b" + bytes(10) + b"\x01\x85", "takes number"),
        (b"K\x00N\x85", "no numbers for its place"),
        (b"K\x00X\x01\x00\x00\x007\x85", "no numbers for its place"),
    ],
)
def test_a_tensor_never_reaches_beyond_its_storage(new: bytes, says: str, tmp_path: Path) -> None:
    path = layouts.saved({"a": torch.arange(7.0)}, tmp_path / "x.pt", legacy=True)
    with pytest.raises(WeightsError, match=f"x.pt.*damaged: .*{says}"):
        read_torch(with_size(path, b"K\x00K\x07\x85", new))


def test_a_storage_that_is_described_in_two_ways_is_refused(tmp_path: Path) -> None:
    whole = torch.arange(97.0)
    path = layouts.saved({"a": whole, "b": whole[:5]}, tmp_path / "x.pt", legacy=True)
    parts, rest = legacy_parts(path)
    first, _, second = parts[3].rpartition(b"Ka")
    assert b"Ka" in first
    parts[3] = first + b"Kb" + second
    path.write_bytes(b"".join(parts) + rest)
    with pytest.raises(WeightsError, match="is described in two ways"):
        read_torch(path)


ZIP_FAULTS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no pickle": ({"data.pkl": None}, "has 0 files data.pkl"),
    "no numbers": ({"data/0": None}, "x/data/0"),
    "too few numbers": ({"data/0": b"1234"}, "x/data/0 has 4 bytes, not 28"),
}


@pytest.mark.parametrize(("changed", "says"), ZIP_FAULTS.values(), ids=ZIP_FAULTS)
def test_a_zip_that_lacks_something_is_damaged(
    changed: dict[str, bytes | None], says: str, tmp_path: Path
) -> None:
    path = rewrite(layouts.saved({"a": torch.arange(7.0)}, tmp_path / "x.pt"), changed)
    with pytest.raises(WeightsError, match=f"damaged: .*{says}"):
        read_torch(path)


def test_a_zip_whose_parts_are_longer_than_itself_is_refused(tmp_path: Path) -> None:
    path = layouts.saved({"a": torch.zeros(1_000_000)}, tmp_path / "x.pt")
    rewrite(path, {}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsError, match="its parts are longer than itself"):
        read_torch(path)


def trouble(path: Path) -> str | None:
    """What is wrong with a file; None if it was read."""
    try:
        read_torch(path)
    except WeightsError as error:
        return str(error)
    return None


@FORMATS
def test_a_file_cut_or_changed_anywhere_gives_an_error_of_one_line(legacy: bool, tmp_path: Path) -> None:
    """A changed number cannot be noticed in the legacy format; any other change is harmless or reported."""
    path = layouts.saved(shared(), tmp_path / "x.pt", legacy=legacy)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    said = []
    for at in [*range(0, len(data), 7), *rng.integers(0, len(data), 200).tolist()]:
        path.write_bytes(data[:at])
        cut = trouble(path)
        assert cut, f"it was read although cut after {at} bytes"
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :])
        said += [cut, trouble(path)]
    assert len([text for text in said[1::2] if text]) > 50
    assert not [text for text in said if text and ("\n" in text or not text.startswith(str(path)))]
