"""Compiles the loops of TV-L1: once per machine, to vector code, without Python's lock. The only file that imports
Numba."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar, cast
from zlib import crc32

import numba
from numba.core.compiler import Compiler

from engines.cache_folder import cache_dir, intact
from engines.errors import EngineError

Call = TypeVar("Call", bound=Callable[..., Any])

SOURCES = [
    Path(__file__).with_name(f"{name}.py") for name in ("numba_loops", "tvl1", "tvl1_plan", "tvl1_pyramid")
]
CACHE = cache_dir() / f"numba-{crc32(b''.join(path.read_bytes() for path in SOURCES)):08x}"
"""Numba recompiles a function when its file changes, but not when that changes what it imports and compiles in."""

FLOAT, INT = numba.float32, numba.int64
LINE, PICTURE, STATE = FLOAT[::1], FLOAT[:, ::1], FLOAT[:, :, ::1]
WORDS = numba.uint32[::1]
GREY = numba.types.Array(numba.uint8, 2, "C", readonly=True)
"""Argument types of `compiled` functions; arrays are contiguous."""

# All values are finite by construction. No reference counts: each row would pay for its dozen views.
_MATHS = {"nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}
_FAST: dict[str, Any] = {"fastmath": _MATHS, "error_model": "numpy", "_nrt": False}


class _NoAlias(Compiler):
    """Promises that the rows a loop writes overlap no others; without this LLVM leaves the loop scalar."""

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()  # type: ignore[no-untyped-call]


def row_loop(function: Call) -> Call:
    """A loop over the pixels of a row, or a part of one, compiled into its caller."""
    return cast(Call, numba.njit(pipeline_class=_NoAlias, forceinline=True, **_FAST)(function))


def inlined(function: Call) -> Call:
    """Inlined into the caller before anything is compiled: a tuple of views must not become a value."""
    return cast(Call, numba.njit(inline="always", **_FAST)(function))


def compiled(*signature: Any) -> Callable[[Call], Call]:
    """Compiled when its file is imported, or read from the user's cache folder if compiled before."""

    def decorate(function: Call) -> Call:
        settings: Any = numba.config
        chosen, settings.CACHE_DIR = settings.CACHE_DIR, settings.CACHE_DIR or str(CACHE)
        try:
            with nullcontext() if chosen else intact(CACHE):
                return cast(Call, numba.njit(signature, cache=True, nogil=True, **_FAST)(function))
        except (OSError, RuntimeError, EngineError):  # no folder is writable: compile for this process alone
            return cast(Call, numba.njit(signature, nogil=True, **_FAST)(function))
        finally:
            settings.CACHE_DIR = chosen

    return decorate
