"""The model: what it is, where its weights come from, how it is compiled and run. Knows nothing of time or video files.

    engines = load_engines("kinetics")
    print(engines.reason, engines.labels[:3])

Names are imported when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engines.engine import Engine, Positions
    from engines.load import Engines, load_engines
    from engines.spec import StreamSpec, Weights

_HOME = {
    "Engine": "engines.engine",
    "Engines": "engines.load",
    "Positions": "engines.engine",
    "StreamSpec": "engines.spec",
    "Weights": "engines.spec",
    "load_engines": "engines.load",
}

__all__ = ["Engine", "Engines", "Positions", "StreamSpec", "Weights", "load_engines"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'engines' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
