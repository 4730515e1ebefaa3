"""What a command needs before it can begin: a model, fetched if it is missing, and its engines."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engines.load import Bulk, Clips, Engines, Trunks
from engines.spec import Modality, Streams
from realtime.commands.options import ModelOptions
from realtime.commands.progress import fetching, waiting

if TYPE_CHECKING:
    from torch import nn

    from engines.weights.best_set import Choice
    from engines.weights.store import Model


class Prepare:
    """Commands take this as a keyword argument, so that a test can pass one that does less."""

    def best_set(self, streams: Streams, *, again: bool = False) -> "Choice":
        """The best public set with these streams; fetched if nothing usable is stored, or if `again`."""
        from engines.weights.best_set import choose_set

        with fetching() as progress:
            return choose_set(streams, again=again, progress=progress)

    def model(self, name: str | None, streams: Streams) -> "Model":
        """The model that was named, or the best public set, reporting which and why; fetched if it is missing."""
        if name is not None:
            return self.named(name, streams)
        choice = self.best_set(streams)
        print(f"i3d-live: {choice}", file=sys.stderr)
        return choice.model

    def named(self, name: str, streams: Streams) -> "Model":
        """`kinetics` is fetched if named; other sets only by `weights fetch`, since they are large."""
        from engines.weights.fetch import fetch
        from engines.weights.store import find_model

        model = find_model(name)
        if name == "kinetics" and streams in ("auto", "rgb") and not model.has("rgb"):
            with fetching() as progress:
                fetch(name, "rgb", progress)
            return find_model(name)
        return model

    def network(self, architecture: str, classes: int, stream: Modality | None) -> "nn.Module":
        """A new, untrained network."""
        from engines.nets.factory import network

        return network(architecture, classes, stream=stream)

    def engines(
        self,
        options: ModelOptions,
        model: "Model | None" = None,
        *,
        concurrent: bool = False,
        trunks: Trunks | None = None,
        bulk: Bulk | None = None,
        threads: int = 1,
    ) -> Engines:
        """Engines from the cache, or fetched and built behind a spinner.

        `model`: if already chosen. `concurrent`: for a recogniser with `submit`. `trunks`, `bulk`, `threads`: see
        `engines_of`.
        """
        from engines.backends.registry import choose_backend
        from realtime.calibration import calibrated

        choose_backend(options.engine.backend)  # fail before the download
        model = model or self.model(options.model, options.engine.streams)
        with waiting("Loading the engine; the first time it is built, which takes up to a minute"):
            return calibrated(
                model, options.engine, concurrent=concurrent, trunks=trunks, bulk=bulk, threads=threads
            )

    def clips(self, engines: Engines) -> Clips:
        """What engines in few bits are calibrated on, for the streams of these; nothing for other precisions."""
        from engines.weights.store import find_model
        from realtime.calibration import calibration_clips

        first = next(iter(engines.by_stream.values()))
        if first.precision != "int8":
            return {}
        streams: Streams = "rgb" if engines.flow is None else "both" if engines.rgb else "flow"
        return calibration_clips(find_model(first.weights.name), streams)

    def demo_clip(self) -> Path:
        """The clip that engines are calibrated on, fetched if it is missing."""
        from engines.weights.fetch import demo_clip

        return demo_clip()


PREPARE = Prepare()
