"""Where cameras go, and that they stay there. What holds of every fleet is tested on random ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.fleet.placement import BALANCE, OVERFULL, applied, decide, fewest
from realtime.fleet.plan import FULL, Camera, Move, Node
from realtime.overload import LATE_S

NEAR = 1e-6


def camera(name: str, cores: float = 0.5, priority: int = 0) -> Camera:
    return Camera(name, priority, cores)


def nodes(*cores: float) -> list[Node]:
    return [Node(f"n{i}", each) for i, each in enumerate(cores, 1)]


def loads(cameras: Sequence[Camera], placed: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in cameras:
        if each.name in placed:
            found[placed[each.name]] = found.get(placed[each.name], 0.0) + each.cores
    return found


def settle(cameras: Sequence[Camera], there: Sequence[Node], placed: Mapping[str, str]) -> dict[str, str]:
    """Where cameras are once no call changes anything."""
    everyone = [each.name for each in cameras]
    for _ in range(200):
        moves = decide(cameras, there, placed, settled=everyone)
        if not moves:
            return dict(placed)
        placed = applied(placed, moves)
    raise AssertionError("it does not come to rest")


# One rule at a time


def test_cameras_that_wait_go_where_most_room_is_left() -> None:
    cameras = [camera("a"), camera("b"), camera("c", 0.2)]
    there, placed = nodes(1, 2), {"c": "n2"}
    assert decide(cameras, there, placed) == [
        Move("a", None, "n2", "n2 has room"),
        Move("b", None, "n1", "n1 has room"),
    ]


def test_the_most_important_is_placed_first_and_the_biggest_among_equals() -> None:
    cameras = [camera("small", 0.3), camera("big", 0.6), camera("door", 0.4, priority=5)]
    moves = decide(cameras, nodes(1), {})
    assert [(move.camera, move.to) for move in moves] == [("door", "n1"), ("small", "n1")]
    moves = decide([*cameras, camera("middle", 0.45)], nodes(1), {})
    assert [(move.camera, move.to) for move in moves] == [("door", "n1"), ("middle", "n1")]


def test_a_node_is_filled_to_its_share_and_no_further() -> None:
    cameras = [camera(f"c{i}", 0.1) for i in range(10)]
    assert len(decide(cameras, nodes(1), {})) == int(FULL / 0.1)


def test_the_cameras_of_a_dead_node_go_to_others() -> None:
    cameras = [camera("a"), camera("b"), camera("c")]
    moves = decide(cameras, nodes(2), {"a": "n9", "b": "n9", "c": "n1"})
    assert moves == [Move("a", "n9", "n1", "n9 is gone"), Move("b", "n9", "n1", "n9 is gone")]


def test_without_room_the_least_important_of_a_dead_node_waits() -> None:
    cameras = [camera("a"), camera("door", priority=5)]
    moves = decide(cameras, nodes(1), {"a": "n9", "door": "n9"})
    assert moves == [Move("door", "n9", "n1", "n9 is gone"), Move("a", "n9", None, "n9 is gone")]


def test_a_node_that_drains_gives_up_its_cameras_and_takes_none() -> None:
    cameras = [camera("a"), camera("b"), camera("waits")]
    there = [Node("n1", 4, draining=True), Node("n2", 1.2)]
    moves = decide(cameras, there, {"a": "n1", "b": "n1"})
    assert moves == [
        Move("a", "n1", "n2", "n1 drains"),
        Move("b", "n1", "n2", "n1 drains"),
    ]


def test_a_node_that_is_behind_gives_up_the_least_important_that_fits_elsewhere() -> None:
    cameras = [camera("door", 0.5, priority=5), camera("big", 1.5), camera("small", 0.2), camera("next", 0.4)]
    there = [Node("n1", 4, behind_s=1.4), Node("n2", 1)]
    placed = dict.fromkeys(("door", "big", "small", "next"), "n1")
    moves = decide(cameras, there, placed, settled=placed)
    assert moves == [Move("next", "n1", "n2", "n1 is behind by 1.4 s")]


def test_nobody_moves_because_of_a_camera_that_has_just_started() -> None:
    cameras = [camera("a"), camera("b")]
    there = [Node("n1", 2, behind_s=1.4), Node("n2", 2)]
    assert decide(cameras, there, {"a": "n1", "b": "n1"}) == []
    moves = decide(cameras, there, {"a": "n1", "b": "n1"}, settled=["b"])
    assert [move.camera for move in moves] == ["b"]


def test_without_room_elsewhere_nobody_waits_only_because_a_node_is_behind() -> None:
    cameras = [camera("a"), camera("b"), camera("c", 0.8)]
    there = [Node("n1", 2, behind_s=1.4), Node("n2", 1)]
    assert decide(cameras, there, {"a": "n1", "b": "n1", "c": "n2"}, settled="abc") == []


def test_a_node_a_little_late_keeps_its_cameras() -> None:
    there = [Node("n1", 2, behind_s=LATE_S), Node("n2", 2)]
    cameras, placed = [camera("a"), camera("b"), camera("c")], {"a": "n1", "b": "n1", "c": "n2"}
    assert decide(cameras, there, placed, settled="abc") == []


def test_a_late_node_that_gives_up_a_camera_anyway_gives_up_no_other() -> None:
    cameras = [camera("a", 0.9), camera("b", 0.8), camera("c", 0.4)]
    there = [Node("n1", 2, behind_s=1.4), Node("n2", 4)]
    moves = decide(cameras, there, dict.fromkeys("abc", "n1"), settled="abc")
    assert moves == [Move("c", "n1", "n2", "n1 is overfull")]


def test_of_two_late_nodes_the_worse_is_relieved_first() -> None:
    there = [Node("n1", 2, behind_s=1.4), Node("n2", 2, behind_s=2.4), Node("n3", 1)]
    cameras = [camera("a"), camera("b"), camera("c"), camera("d")]
    moves = decide(cameras, there, {"a": "n1", "b": "n1", "c": "n2", "d": "n2"}, settled="abcd")
    assert moves == [Move("c", "n2", "n3", "n2 is behind by 2.4 s")]


def test_a_late_node_takes_not_even_who_costs_nothing() -> None:
    assert decide([camera("a", 0.0)], [Node("n1", 2, behind_s=1.4)], {}) == []


def test_an_only_camera_leaves_a_late_node_for_a_larger_one_alone() -> None:
    late = Node("n1", 2, behind_s=1.4)
    for cores, expected in ((2, []), (4, ["n2"])):
        moves = decide([camera("a", 1.0)], [late, Node("n2", cores)], {"a": "n1"}, settled="a")
        assert [move.to for move in moves] == expected


def test_an_overfull_node_gives_up_as_few_as_it_takes() -> None:
    cameras = [camera("door", 1.0, priority=5), camera("a", 0.5), camera("b", 0.4), camera("c", 0.25)]
    placed = dict.fromkeys(("door", "a", "b", "c"), "n1")
    moves = decide(cameras, nodes(2, 1), placed)
    assert moves == [Move("c", "n1", "n2", "n1 is overfull")]
    assert decide(cameras, nodes(2), placed) == [Move("c", "n1", None, "n1 is overfull")]
    assert decide(cameras, nodes(2.15 / OVERFULL + NEAR), placed) == []


def test_the_last_camera_of_an_overfull_node_never_waits() -> None:
    cameras = [camera("a", 3.0), camera("door", 3.0, priority=5)]
    there = nodes(2)
    assert decide(cameras, there, {"door": "n1"}, settled=["door"]) == []
    moves = decide(cameras, there, {"a": "n1", "door": "n1"})
    assert moves == [Move("a", "n1", None, "n1 is overfull")]
    moves = decide(cameras, nodes(2, 8), {"door": "n1", "a": "n2"}, settled=["door"])
    assert moves == [Move("door", "n1", "n2", "n1 is overfull")]


def test_an_important_camera_displaces_the_least_important_that_suffice() -> None:
    cameras = [
        camera("door", 0.6, priority=5),
        camera("yard", 0.6, priority=1),
        camera("a", 0.5),
        camera("b", 0.2),
        camera("hall", 0.8, priority=6),
    ]
    placed = {"yard": "n1", "a": "n2", "b": "n2", "hall": "n3"}
    assert decide(cameras, nodes(1, 1, 1), placed) == [
        Move("door", None, "n2", "it comes before a"),
        Move("a", "n2", None, "door (priority 5) needs its place"),
    ]


def test_who_is_displaced_is_least_important_then_fewest_then_smallest() -> None:
    door = camera("door", 0.5, priority=5)
    pairs = [
        ([camera("a", 0.8, priority=1)], [camera("b", 0.4), camera("c", 0.4)], {"b", "c"}),
        ([camera("a", 0.4), camera("b", 0.4)], [camera("c", 0.8)], {"c"}),
        ([camera("a", 0.8)], [camera("b", 0.6)], {"b"}),
    ]
    for first, second, displaced in pairs:
        placed = dict.fromkeys([each.name for each in first], "n1")
        placed |= dict.fromkeys([each.name for each in second], "n2")
        moves = decide([door, *first, *second], nodes(1, 1), placed)
        assert {move.camera for move in moves if move.source} <= displaced
        assert applied(placed, moves)["door"] == placed[min(displaced)]


def test_nobody_is_displaced_if_that_is_not_enough_or_by_an_equal() -> None:
    cameras = [camera("door", 0.9, priority=5), camera("twin", 0.5), camera("a", 0.5)]
    assert decide(cameras, nodes(1), {"a": "n1"}) == []


def test_who_is_displaced_goes_elsewhere_if_it_fits_there() -> None:
    cameras = [camera("door", 0.8, priority=5), camera("a", 0.2), camera("b", 0.6)]
    assert decide(cameras, nodes(1, 1), {"a": "n1", "b": "n2"}) == [
        Move("door", None, "n1", "it comes before a"),
        Move("a", "n1", "n2", "door (priority 5) needs its place"),
    ]


def test_the_important_runs_on_a_late_node_in_the_place_of_another() -> None:
    cameras = [camera("door", 0.4, priority=5), camera("a", 0.5)]
    there = [Node("n1", 2, behind_s=1.4)]
    moves = decide(cameras, there, {"a": "n1"})
    assert applied({"a": "n1"}, moves) == {"door": "n1"}


def test_a_new_node_gets_its_share_one_camera_at_a_time() -> None:
    cameras = [camera(f"c{i}", 0.125) for i in range(24)]
    placed = {each.name: f"n{i % 2 + 1}" for i, each in enumerate(cameras)}
    there = nodes(2, 2, 2)
    assert decide(cameras, there, placed) == []
    moves = decide(cameras, there, placed, settled=placed)
    assert [(move.source, move.to, move.why) for move in moves] == [("n1", "n3", "n3 has room")]
    shared = loads(cameras, settle(cameras, there, placed))
    assert max(shared.values()) - min(shared.values()) <= (BALANCE + 0.125 / 2) * 2


def test_balance_moves_the_least_important_and_not_for_little() -> None:
    cameras = [camera("door", 0.4, priority=5), camera("yard", 0.4), camera("zoo", 0.4)]
    placed = dict.fromkeys(("door", "yard", "zoo"), "n1")
    moves = decide(cameras, nodes(2, 2), placed, settled=placed)
    assert [move.camera for move in moves] == ["yard"]
    gap = BALANCE * 2 + 0.4
    cameras = [camera("a", 0.4), camera("b", gap - 0.4 - 0.01)]
    assert decide(cameras, nodes(2, 2), dict.fromkeys("ab", "n1"), settled="a") == []


def test_balance_moves_the_camera_of_most_use() -> None:
    cameras = [camera("a", 0.2), camera("b", 0.7), camera("c", 0.7), camera("z", 0.05)]
    placed = dict.fromkeys("abcz", "n1")
    assert [move.camera for move in decide(cameras, nodes(2, 2), placed, settled="abcz")] == ["b"]
    placed = {"a": "n1", "b": "n2", "c": "n2", "z": "n2"}
    moves = decide(cameras, nodes(2, 2, 2), placed, settled="abcz")
    assert [(move.camera, move.source, move.to) for move in moves] == [("b", "n2", "n3")]


def test_balance_goes_from_the_fullest_node_to_the_emptiest() -> None:
    cameras = [
        camera("a", 0.05),
        camera("b", 0.55),
        *[camera(f"c{i}", 0.4) for i in range(4)],
        camera("d", 0.2),
    ]
    placed = {"a": "n1", "b": "n1", "d": "n4"} | {f"c{i}": "n2" for i in range(4)}
    moves = decide(cameras, nodes(2, 2, 2, 2), placed, settled=placed)
    assert [(move.source, move.to) for move in moves] == [("n2", "n3")]


def test_nothing_is_balanced_while_something_else_is_to_do() -> None:
    cameras = [camera("a"), camera("b"), camera("new", 0.1)]
    moves = decide(cameras, nodes(2, 2), {"a": "n1", "b": "n1"}, settled="ab")
    assert [move.camera for move in moves] == ["new"]


def test_the_fewest_are_those_that_are_needed() -> None:
    cameras = [camera("a", 0.2), camera("b", 0.5, 1), camera("c", 0.4, 1), camera("d", 0.3, 1)]
    assert [each.name for each in fewest(cameras, 0.15)] == ["a"]
    assert [each.name for each in fewest(cameras, 0.35)] == ["c"]
    assert [each.name for each in fewest(cameras, 0.65)] == ["a", "b"]


# What holds of every fleet


@dataclass(frozen=True)
class Fleet:
    cameras: list[Camera]
    nodes: list[Node]
    placed: dict[str, str]

    def moves(self, settled: Sequence[str] = ()) -> list[Move]:
        return decide(self.cameras, self.nodes, self.placed, settled=settled)

    def everyone(self) -> list[str]:
        return [each.name for each in self.cameras]


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    there = [
        Node(f"n{i}", draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([0.0, 0.0, 1.5])), draw(rarely))
        for i in range(draw(st.integers(1, 4)))
    ]
    sizes = st.integers(1, 24).map(lambda sixteenths: sixteenths / 16)
    cameras = [Camera(f"c{i}", draw(st.integers(0, 2)), draw(sizes)) for i in range(draw(st.integers(0, 14)))]
    places = st.sampled_from([None, "gone", *(node.name for node in there)])
    placed = {each.name: place for each in cameras if (place := draw(places)) is not None}
    return Fleet(cameras, there, placed)


rarely = st.sampled_from([False, False, False, True])
many = settings(max_examples=100, deadline=None)


@many
@given(fleets())
def test_no_node_is_filled_over_its_share_and_no_camera_moves_twice(fleet: Fleet) -> None:
    for settled in ((), fleet.everyone()):
        moves = fleet.moves(settled)
        after = loads(fleet.cameras, applied(fleet.placed, moves))
        assert len({move.camera for move in moves}) == len(moves)
        for move in moves:
            assert move.source == fleet.placed.get(move.camera) != move.to
        for node in fleet.nodes:
            if node.name in {move.to for move in moves}:
                assert after[node.name] <= FULL * node.cores + NEAR
                assert not node.draining


@many
@given(fleets())
def test_nobody_waits_where_room_is_or_less_important_ones_run(fleet: Fleet) -> None:
    """A node that is behind has no room, but the place of somebody else."""
    for settled in ((), fleet.everyone()):
        placed = applied(fleet.placed, fleet.moves(settled))
        used = loads(fleet.cameras, placed)
        for waits in (each for each in fleet.cameras if each.name not in placed):
            lower = loads([each for each in fleet.cameras if each.priority < waits.priority], placed)
            for node in (node for node in fleet.nodes if not node.draining):
                room = FULL * node.cores - used.get(node.name, 0.0)
                room = min(room, 0.0) if node.behind_s > LATE_S else room
                assert waits.cores > room + lower.get(node.name, 0.0) - NEAR


@many
@given(fleets())
def test_the_second_call_changes_nothing_and_balance_comes_to_rest(fleet: Fleet) -> None:
    placed = applied(fleet.placed, fleet.moves())
    assert replace(fleet, placed=placed).moves() == []
    settle(fleet.cameras, fleet.nodes, fleet.placed)


@many
@given(fleets())
def test_nobody_moves_without_a_reason(fleet: Fleet) -> None:
    moves = fleet.moves(fleet.everyone())
    before, known = loads(fleet.cameras, fleet.placed), {node.name: node for node in fleet.nodes}
    importance = {each.name: each.priority for each in fleet.cameras}
    for move in moves:
        if move.source not in known:
            continue  # it waited, or its node is gone
        node, arrived = known[move.source], [each for each in moves if each.to == move.source]
        reasons = {
            "drains": node.draining,
            "is behind": node.behind_s > LATE_S,
            "is overfull": before[node.name] > OVERFULL * node.cores,
            "needs its place": any(importance[each.camera] > importance[move.camera] for each in arrived),
            "has room": len(moves) == 1,
        }
        assert [holds for said, holds in reasons.items() if said in move.why] == [True]


@many
@given(fleets())
def test_a_late_node_gives_up_one_camera_at_a_time(fleet: Fleet) -> None:
    reasons = [move.why for move in fleet.moves(fleet.everyone()) if "behind" in move.why]
    assert len(set(reasons)) == len({why.split()[0] for why in reasons}) == len(reasons)


@many
@given(fleets(), st.integers())
def test_the_order_of_what_is_given_changes_nothing(fleet: Fleet, seed: int) -> None:
    def mixed(values: Sequence[Any]) -> list[Any]:
        return Random(seed).sample(list(values), len(values))

    other = Fleet(mixed(fleet.cameras), mixed(fleet.nodes), dict(mixed(list(fleet.placed.items()))))
    assert other.moves(other.everyone()) == fleet.moves(fleet.everyone())


@many
@given(st.integers(2, 6), st.integers(1, 20), st.integers(0, 5))
def test_all_cameras_of_a_dead_node_are_placed_if_there_is_room(count: int, here: int, dead: int) -> None:
    """Cameras of one size, of which a node takes eight."""
    there = nodes(*[1.0] * count)
    cameras = [camera(f"c{i}", 0.1) for i in range(min(here, 8 * (count - 1)))]
    placed = applied({}, decide(cameras, there, {}))
    left = [node for i, node in enumerate(there) if i != dead % count]
    after = applied(placed, decide(cameras, left, placed))
    assert set(after) == {each.name for each in cameras}
    stayed = {name: node for name, node in placed.items() if node in {each.name for each in left}}
    assert stayed.items() <= after.items()
