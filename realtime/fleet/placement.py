"""Which camera is watched on which node: a pure function of what is known, without a clock.

1. Whose node is gone, drains or is overfull, and who waits, is placed where most room is left: the most important
   first, the biggest first among equals. At most `FULL` of a node is filled.
2. A camera that fits nowhere displaces less important ones, if that makes it fit: the least important, and of these the
   fewest. They are placed in their turn, or wait.
3. A node that is behind gives up one camera, the least important that fits elsewhere; then it is measured again. If
   none does, all stay: a late recogniser does less (`realtime.overload`), and a camera that is watched with fewer
   predictions is better than one that is not. Only a node that by measurement needs more than `OVERFULL` of its cores
   gives up cameras although they may have to wait, as few as bring it below that, and never its last one.
4. If nothing else is to do, one camera goes from a fuller node to an emptier one. So a new node gets its share.

Everyone else stays: a move costs seconds in which nobody looks.
"""

from collections.abc import Collection, Mapping, Sequence
from heapq import heapify, heappop, heappush

from realtime.fleet.plan import ROUNDING, Camera, Move, Node, Plan, important_first, unimportant_first
from realtime.overload import LATE_S

OVERFULL = 0.95
"""The share of its cores above which a node gives up cameras. Below 1, as a process cannot be measured to use more than
there is."""
BALANCE = 0.15
"""A camera changes nodes for balance if even with it the other node's used share is lower by more than this."""


def decide(
    cameras: Sequence[Camera],
    nodes: Sequence[Node],
    placed: Mapping[str, str],
    *,
    settled: Collection[str] = (),
) -> list[Move]:
    """What is to be changed, to be applied together: all stops first, then all starts. Empty if all is well.

    `placed`: the node of each camera that runs, or ran until its node was gone; a node that is gone is not in `nodes`.
    `settled`: who has run long enough where it is. Only these move because a node is behind or for balance: a camera
    that has just started makes its node late for a while, and its cost is not known yet.

    Once the moves are applied and nothing else changes, a few further calls give none.
    """
    plan, steady = Plan(cameras, nodes, placed, LATE_S), frozenset(settled)
    for name in plan.nodes:
        _give_up(plan, name)
    _place(plan)
    for name in sorted(plan.nodes, key=lambda name: (-plan.nodes[name].behind_s, name)):
        _relieve(plan, name, steady)
    if not plan.moves():
        _balance(plan, steady)
    return plan.moves()


def applied(placed: Mapping[str, str], moves: Sequence[Move]) -> dict[str, str]:
    """Where cameras run once the moves are made."""
    moved = {move.camera: move.to for move in moves}
    kept = {name: node for name, node in placed.items() if name not in moved}
    return kept | {name: node for name, node in moved.items() if node is not None}


def _give_up(plan: Plan, name: str) -> None:
    """Who has to leave a node that drains or is overfull."""
    node, here = plan.nodes[name], list(plan.on[name].values())
    if node.draining:
        leaving, why = here, f"{name} drains"
    else:
        leaving, why = _too_many(here, plan.load[name] - OVERFULL * node.cores), f"{name} is overfull"
    for camera in leaving:
        plan.remove(camera, why)


def _too_many(here: list[Camera], excess: float) -> list[Camera]:
    if excess <= ROUNDING:
        return []
    leaving = fewest(here, excess)
    return leaving if len(leaving) < len(here) else leaving[:-1]


def _place(plan: Plan) -> None:
    """Everyone who has no place, or loses it here to somebody more important."""
    queue = [(important_first(camera), camera) for camera in plan.unplaced()]
    heapify(queue)
    while queue:
        _, camera = heappop(queue)
        if (to := plan.roomiest(camera)) is not None:
            plan.put(camera, to, f"{to} has room")
        elif (found := _place_of_others(plan, camera)) is not None:
            to, others = found
            for other in others:
                plan.remove(other, f"{camera.name} (priority {camera.priority}) needs its place")
                heappush(queue, (important_first(other), other))
            plan.put(camera, to, f"it comes before {', '.join(other.name for other in others)}")


def _place_of_others(plan: Plan, camera: Camera) -> tuple[str, list[Camera]] | None:
    """The node on which it costs least to displace less important cameras for this one, and which."""
    below = plan.below(camera.priority)
    needed = {name: camera.cores - plan.room(name) for name in plan.open()}
    options = {
        name: fewest([other for other in plan.on[name].values() if other.priority < camera.priority], cores)
        for name, cores in needed.items()
        if 0 < cores <= below[name]
    }

    def harm(name: str) -> tuple[int, int, float]:
        others = options[name]
        return max(other.priority for other in others), len(others), sum(other.cores for other in others)

    return min(options.items(), key=lambda item: (harm(item[0]), item[0]), default=None)


def fewest(cameras: Sequence[Camera], cores: float) -> list[Camera]:
    """The least important that together have so many cores, and of these few: none of them could stay.

    `cores` is above 0, and all together have as many.
    """
    chosen: list[Camera] = []
    for camera in sorted(cameras, key=unimportant_first):
        if _sum(chosen) >= cores:
            break
        chosen.append(camera)
    for camera in reversed(chosen[:-1]):
        if _sum(chosen) - camera.cores >= cores:
            chosen.remove(camera)
    last = chosen.pop()
    enough = cores - _sum(chosen)
    others = [each for each in cameras if each.priority == last.priority and each not in chosen]
    fit = [each for each in others if each.cores >= enough]
    return [*chosen, min(fit, key=lambda each: (each.cores, each.name), default=last)]


def _sum(cameras: Sequence[Camera]) -> float:
    return sum(camera.cores for camera in cameras)


def _relieve(plan: Plan, name: str, settled: Collection[str]) -> None:
    """One camera from a node that is behind, or that has a single camera and is overfull with it, to another one."""
    here = plan.on[name]
    behind, overfull = name in plan.late, plan.share(name) > OVERFULL
    if name in plan.left or not (behind or overfull):
        return
    why = f"{name} is behind by {plan.nodes[name].behind_s:.1f} s" if behind else f"{name} is overfull"
    for camera in sorted(here.values(), key=unimportant_first):
        to = plan.roomiest(camera) if camera.name in settled else None
        # Alone, it would make an equal node as late as this one, and come back.
        if to is not None and (len(here) > 1 or plan.share(to, camera.cores) < plan.share(name)):
            plan.put(camera, to, why)
            return


def _balance(plan: Plan, settled: Collection[str]) -> None:
    """One camera from the fullest node that may give one to the emptiest that can take it."""
    by_share = sorted(plan.open(), key=lambda name: (-plan.share(name), name))
    for source in by_share:
        movable = [camera for camera in plan.on[source].values() if camera.name in settled]
        for target in reversed(by_share):
            if plan.share(source) - plan.share(target) <= BALANCE:
                break
            if useful := [camera for camera in movable if _lowers(plan, camera, source, target)]:
                plan.put(_of_most_use(plan, useful, source, target), target, f"{target} has room")
                return


def _lowers(plan: Plan, camera: Camera, source: str, target: str) -> bool:
    """Whether its move leaves both nodes with a clearly lower share than the source has now."""
    after = plan.share(target, camera.cores)
    return 0 < camera.cores <= plan.room(target) and plan.share(source) - after > BALANCE


def _of_most_use(plan: Plan, cameras: Sequence[Camera], source: str, target: str) -> Camera:
    """Of the least important the one that leaves the fuller of the two nodes emptiest."""

    def harm(camera: Camera) -> tuple[int, float, str]:
        fuller = max(plan.share(source, -camera.cores), plan.share(target, camera.cores))
        return camera.priority, fuller, camera.name

    return min(cameras, key=harm)
