"""Reads PyTorch's .pt and .pth files without torch, in both of their formats.

zip (since 1.6)    <name>/data.pkl, a file <name>/data/<key> for each storage, and <name>/byteorder
legacy             pickles of a magic number, a version, facts of the machine, the object and the keys of its storages;
                   then for each storage its count of numbers, in 8 bytes, and the numbers

See `engines.weights.torch_pickle` for what the pickles may contain.
"""

import os
import zipfile
from pathlib import Path
from typing import IO, Any, Literal

from engines.errors import WeightsError
from engines.weights.torch_pickle import NotPlain, Refused, Storage, Tensor, Unpickler

__all__ = ["Tensor", "read_torch_file"]

ZIP = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001


def read_torch_file(path: Path) -> Any:
    """The saved object: tensors as `Tensor`, in the original dicts, lists, tuples and plain values.

    Raises:
        WeightsError: it cannot be opened, is damaged, or contains anything else.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(len(ZIP)) == ZIP
            file.seek(0)
            return _read_zip(file) if zipped else _read_legacy(file)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    except Refused as error:
        raise WeightsError(
            f"{path} cannot be read as a PyTorch file of tensors alone: {error}; "
            "save the model's state_dict() and import that"
        ) from error
    except NotPlain as error:
        raise WeightsError(
            f"{path} holds tensors that are not plain arrays: {error}; store them as float32"
        ) from error
    except Exception as error:  # a damaged file can raise almost anything
        why = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{path} cannot be read as a PyTorch file, it is damaged: {why}") from error


def _read_zip(file: IO[bytes]) -> Any:
    with zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > file.seek(0, os.SEEK_END):
            raise ValueError("its parts are longer than itself; torch.save does not compress")
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise ValueError(f"it has {len(pickles)} files data.pkl, not one")
        folder = pickles[0].removesuffix("data.pkl")
        storages: dict[str, Storage] = {}
        with archive.open(pickles[0]) as pickled:
            found = Unpickler(pickled, storages).load()
        order: Literal["<", ">"] = "<"
        if f"{folder}byteorder" in archive.namelist():
            order = _order(archive.read(f"{folder}byteorder") == b"little")
        for key, storage in storages.items():
            entry = archive.getinfo(f"{folder}data/{key}")
            wanted = storage.count * storage.itemsize
            if entry.file_size != wanted:
                raise ValueError(f"{entry.filename} has {entry.file_size} bytes, not {wanted}")
            storage.fill(archive.read(entry), order)
    return found


def _read_legacy(file: IO[bytes]) -> Any:
    magic, version, machine = (Unpickler(file, {}).load() for _ in range(3))
    if magic != LEGACY_MAGIC or version != LEGACY_VERSION:
        raise ValueError("it begins with neither of PyTorch's marks")
    order = _order(machine["little_endian"])
    storages: dict[str, Storage] = {}
    found = Unpickler(file, storages).load()
    for key in Unpickler(file, {}).load():
        storage = storages[key]
        count = int.from_bytes(_exactly(file, 8), "little" if order == "<" else "big")
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} numbers, not {storage.count}")
        storage.fill(_exactly(file, count * storage.itemsize), order)
    return found


def _order(little: bool) -> Literal["<", ">"]:
    return "<" if little else ">"


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise ValueError("it ends in the middle of its numbers")
    return data
