"""How the loops of TV-L1 are compiled: once a machine, to vector code, without Python's lock. The only file of the recogniser that knows Numba."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core.compiler import Compiler

from engines.cache_folder import cache_dir
from realtime.flow.tvl1_plan import CUBIC, FLAT, RELAXATION

Call = TypeVar("Call", bound=Callable[..., Any])

CACHE = cache_dir() / f"numba-{CUBIC}-{FLAT}-{RELAXATION}"
"""Numba compiles again when the file of a function changes, and does not look at what it imports: this file, or those figures."""

FLOAT, INT = numba.float32, numba.int64
LINE, PICTURE, STATE = FLOAT[::1], FLOAT[:, ::1], FLOAT[:, :, ::1]
PAIRS = numba.uint32[::1]
GREY = numba.types.Array(numba.uint8, 2, "C", readonly=True)
"""Types of what `compiled` functions take; arrays lie in one piece."""

# All values are finite by construction. Without reference counts, or each row would pay for its dozen views.
_MATHS = {"nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}
_FAST: dict[str, Any] = {"fastmath": _MATHS, "error_model": "numpy", "_nrt": False}


class _NoAlias(Compiler):
    """The rows that a loop writes overlap no other; without this promise LLVM leaves the loop scalar."""

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()  # type: ignore[no-untyped-call]


def row_loop(function: Call) -> Call:
    """A loop over the pixels of a row, or a part of one, compiled into whoever calls it."""
    return cast(Call, numba.njit(pipeline_class=_NoAlias, forceinline=True, **_FAST)(function))


def inlined(function: Call) -> Call:
    """Put in the caller's place before anything is compiled: a tuple of views must not become a value."""
    return cast(Call, numba.njit(inline="always", **_FAST)(function))


def compiled(*signature: Any) -> Callable[[Call], Call]:
    """Compiled when its file is imported, or read from the user's cache folder where it was before."""

    def decorate(function: Call) -> Call:
        settings: Any = numba.config
        chosen, settings.CACHE_DIR = settings.CACHE_DIR, settings.CACHE_DIR or str(CACHE)
        try:
            return cast(Call, numba.njit(signature, cache=True, nogil=True, **_FAST)(function))
        except (OSError, RuntimeError):  # no folder can be written: for this process alone
            return cast(Call, numba.njit(signature, nogil=True, **_FAST)(function))
        finally:
            settings.CACHE_DIR = chosen

    return decorate
