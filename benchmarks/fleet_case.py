"""What `benchmarks.fleet_world` simulates, what is assumed of it, and what it counts."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from benchmarks.fleet_costs import Cost


@dataclass(frozen=True)
class Assumed:
    """What was not measured."""

    node_cores: float = 16.0
    spare_share: float = 0.05
    """Nodes beyond those that the cameras need, rounded up."""
    dies_every_days: float = 30.0
    """A node, on average: power, restarts, updates."""
    back_after_s: float = 600.0
    detected_after_s: float = 2.5
    """The supervisor waits so long for an answer; Ray, as it is set up by default, 15 s."""
    decides_every_s: float = 10.0
    measures_every_s: float = 600.0
    settled_after_s: float = 60.0
    works_by_day: float = 0.6
    """The share of the time in which something moves in the picture."""
    works_by_night: float = 0.1
    day_h: tuple[float, float] = (7.0, 22.0)
    works_for_s: float = 300.0
    importance: tuple[float, ...] = (0.6, 0.3, 0.1)
    """Shares of the cameras that have priority 0, 1, 2."""
    cost_varies_by: float = 0.1
    """The cost of a camera that works, up and down, from one measurement to the next."""
    mean_cost: bool = False
    """Whether cameras are placed by their mean cost, rests included, not by that of their work."""
    slows_every_days: float = 30.0
    """Another program takes half of a node, on average."""
    slow_for_s: float = 3600.0
    slow_to: float = 0.5
    late_s: float = 1.5
    """How far behind a node is while its cameras need more cores than it gives."""
    remembers_s: float = 3600.0
    """So long after a node was late it counts as if what it had then had filled it."""


@dataclass(frozen=True)
class Case:
    """What is simulated."""

    cost: Cost
    start_s: float
    """Of a camera on a node that runs; a node starts one after another."""
    sizes: tuple[float, ...]
    """The cost of each camera, 1 being that of 720p."""
    nodes: int
    days: float
    assumed: Assumed = Assumed()
    seed: int = 0


@dataclass
class Simulated:
    """A camera."""

    name: str
    priority: int
    size: float
    cores: float
    """What it costs while it works."""
    told: float
    """What `decide` is told."""
    works: bool = True
    worked_s: float = 0.0
    """Since the last measurement, up to `marked_s`."""
    marked_s: float = 0.0
    runs_since_s: float | None = 0.0
    unwatched_since_s: float = 0.0
    why: str = ""
    """Why it does not run."""
    starts: int = 0
    """A newer start makes older ones void."""
    died_s: float | None = None
    """When its node died, until it runs again; the first, if several do in between."""


@dataclass
class Found:
    """What is counted, and sampled at each measurement."""

    unwatched_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By cause: `death`, `move`, `wait`."""
    waited_s: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    """By priority."""
    moves: Counter[str] = field(default_factory=Counter)
    deaths: int = 0
    recovered_s: list[float] = field(default_factory=list)
    waiting_most: int = 0
    """Cameras without a place."""
    highest_by_mean: list[float] = field(default_factory=list)
    filled: list[float] = field(default_factory=list)
    """The share of the nodes' cores that is placed."""
    used: list[float] = field(default_factory=list)
    """The share that is used at that moment."""
    late_s: float = 0.0
    """Of all nodes together."""
    first_ms: float = 0.0
    """Processor time of the call that places everyone."""
    decide_ms: list[float] = field(default_factory=list)
    """Of each call after that."""
