"""Reads the pickles inside PyTorch's files without torch.

A tensor is pickled as a view (offset, size, stride) of a storage identified by a key; the numbers are stored
elsewhere in the file. `pickle` would call anything that a file names. This interpreter knows only the few instructions
that `torch.save` writes: it builds dicts, lists, tuples and tensors, and calls only the constructors listed below.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

BFLOAT16 = "bfloat16"
"""The upper halves of float32 numbers; numpy lacks this type."""
STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}
"""torch's name of a storage class -> numpy's type code of its numbers."""
DTYPES = {
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128",
}  # fmt: skip
"""Types that a checkpoint may mention besides its tensors."""


class Refused(Exception):
    """The file contains more than tensors and the plain values around them."""


class NotPlain(Exception):
    """A tensor that is not a view of plain numbers: sparse, quantised, or of a type that numpy lacks."""


@dataclass(eq=False)
class Storage:
    """Consecutive numbers that tensors share."""

    kind: str
    """As in `STORAGES`."""
    count: int
    start: int = 0
    """Its offset in `parent`."""
    parent: "Storage | None" = None
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0))
    """Filled when the file's numbers are read; half precision is widened to float32."""

    @property
    def itemsize(self) -> int:
        return 2 if self.kind == BFLOAT16 else np.dtype(self.kind).itemsize

    def numbers(self) -> NDArray[Any]:
        """The file's numbers, once they have been read."""
        if self.parent is None:
            return self.values
        return self.parent.values[self.start : self.start + self.count]

    def fill(self, data: bytes, order: Literal["<", ">"]) -> None:
        """Store the file's numbers, which have this byte order."""
        if self.kind == BFLOAT16:
            upper = np.frombuffer(data, f"{order}u2").astype(np.uint32)
            self.values = (upper << 16).view(np.float32)
        elif self.kind == "f2":
            self.values = np.frombuffer(data, f"{order}f2").astype(np.float32)
        else:
            read = np.frombuffer(data, np.dtype(self.kind).newbyteorder(order))
            self.values = read.astype(read.dtype.newbyteorder("="), copy=False)


class Tensor(NamedTuple):
    """A view of a storage: element (i, j, ...) is at offset + i * stride[0] + j * stride[1] + ..."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        """The tensor as a read-only numpy array. Half precision becomes float32.

        Raises ValueError if it reaches beyond its storage.
        """
        numbers = self.storage.numbers()
        if len(self.size) != len(self.stride) or min((self.offset, *self.size, *self.stride)) < 0:
            raise ValueError(f"size {self.size} and stride {self.stride} make no tensor")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if 0 in self.size:
            return np.empty(self.size, numbers.dtype)
        if last >= len(numbers):
            raise ValueError(f"it takes number {last} of a storage of {len(numbers)}")
        strides = tuple(step * numbers.itemsize for step in self.stride)
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.size, strides, writeable=False)


LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip
"""Instructions that push their argument onto the stack. Python 2 wrote names with the two STRING instructions."""
FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}


class _Constructor(NamedTuple):
    """Something that a pickle may call."""

    make: Callable[..., Any]


class _StorageClass(NamedTuple):
    kind: str


def _tensor(storage: Storage, offset: int, size: Sequence[int], stride: Sequence[int], *rest: Any) -> Tensor:
    """`rest`: whether it requires gradients, and hooks; both are ignored."""
    numbers = (offset, *size, *stride)
    if not isinstance(storage, Storage) or not all(type(number) is int for number in numbers):
        raise ValueError("a tensor has no storage, or no numbers for its place in it")
    return Tensor(storage, offset, tuple(size), tuple(stride))


def _parameter(tensor: Tensor, *rest: Any) -> Tensor:
    return tensor


CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "collections.OrderedDict": OrderedDict,
    # Checkpoints contain these besides the tensors; they are ignored.
    "collections.Counter": dict,
    "torch.Size": tuple,
    "torch.device": lambda *where: where,
    "builtins.set": set,
    "__builtin__.set": set,
}


def _admitted(name: str) -> Any:
    """What a pickle gets when it asks for `name`."""
    module, _, last = name.rpartition(".")
    if name in CONSTRUCTORS:
        return _Constructor(CONSTRUCTORS[name])
    if module == "torch" and last in STORAGES:
        return _StorageClass(STORAGES[last])
    if module == "torch" and last in DTYPES:
        return name
    if module == "torch._utils" and last.startswith("_rebuild_"):
        raise NotPlain(last.removeprefix("_rebuild_"))
    if module in ("torch", "torch.storage") and last.endswith("Storage"):
        raise NotPlain(last)
    raise Refused(f"it asks for {name}")


class Unpickler:
    """Executes one pickle of `torch.save`. Afterwards `storages` holds the storages of its tensors, by key."""

    def __init__(self, file: IO[bytes], storages: dict[str, Storage]) -> None:
        self._file, self._storages = file, storages
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The object; afterwards the file is positioned after its pickle."""
        for instruction, argument, _ in pickletools.genops(self._file):
            name = instruction.name
            if name in LITERALS:
                self._stack.append(argument)
            elif name in FRESH:
                self._stack.append(FRESH[name]())
            elif name not in ("PROTO", "FRAME", "STOP"):
                self._carry_out(name, argument)
        return self._stack.pop()

    def _carry_out(self, name: str, argument: Any) -> None:
        stack, memo = self._stack, self._memo
        match name:
            case "MARK":
                self._marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._taken(int(name[5:]) if name[5:] else None)))
            case "APPEND" | "APPENDS":
                self._put_into(list, self._taken(1 if name == "APPEND" else None))
            case "SETITEM" | "SETITEMS":
                self._put_into(dict, self._taken(2 if name == "SETITEM" else None))
            case "ADDITEMS":
                self._put_into(set, self._taken(None))
            case "GLOBAL":
                stack.append(_admitted(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                stack.append(_admitted(".".join(self._taken(2))))
            case "BINPERSID":
                stack.append(self._storage(*stack.pop()))
            case "REDUCE" | "BUILD":
                self._call(name, *self._taken(2))
            case _:
                raise Refused(f"it has the instruction {name}, which torch.save does not write")

    def _taken(self, count: int | None) -> list[Any]:
        """Pop the last `count` values of the stack, or those since the last mark."""
        start = self._marks.pop() if count is None else len(self._stack) - count
        taken = self._stack[start:]
        if start < 0 or len(taken) < (count or 0):
            raise ValueError("an instruction takes more than there is")
        del self._stack[start:]
        return taken

    def _put_into(self, kind: type, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, kind):
            raise ValueError(f"items for a {kind.__name__} go to a {type(target).__name__}")
        if isinstance(target, dict):
            target.update(zip(items[::2], items[1::2], strict=True))
        elif isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(items)

    def _call(self, name: str, target: Any, argument: Any) -> None:
        if name == "REDUCE" and isinstance(target, _Constructor):
            self._stack.append(target.make(*argument))
        elif name == "BUILD" and isinstance(target, OrderedDict):
            self._stack.append(target)  # its attributes, the versions of modules, are not needed here
        else:
            raise Refused(f"it makes or changes a {type(target).__name__}")

    def _storage(
        self, what: str, kind: _StorageClass, key: str, place: str, count: int, view: Any = None
    ) -> Storage:
        """The storage of a key. `view`: key, first number and count of a part of it, as a storage in itself."""
        if what != "storage" or not isinstance(kind, _StorageClass) or type(count) is not int or count < 0:
            raise ValueError("a tensor's storage is not described as torch.save does it")
        storage = self._storages.setdefault(key, Storage(kind.kind, count))
        if (storage.kind, storage.count) != (kind.kind, count):
            raise ValueError(f"storage {key} is described in two ways")
        if view is None:
            return storage
        _, start, length = view
        if type(start) is not int or type(length) is not int or not 0 <= start <= start + length <= count:
            raise ValueError(f"storage {key} is shorter than a part of it")
        return Storage(kind.kind, length, start, storage)
