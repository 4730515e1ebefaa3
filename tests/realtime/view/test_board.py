"""What the page is told about the last minute."""

from realtime.types import Event, Figures
from realtime.view.page_state import Board, runs


def test_stretches_of_one_label_are_joined_unless_something_lies_between() -> None:
    trail = [
        Event("a", 0, 1, 0.5),
        Event("a", 1, 2, 0.7),
        Event("b", 2, 3, 0.9),
        Event("a", 3, 4, 0.6),
        Event("a", 9, 10, 0.6),
    ]
    assert [run[:4] for run in runs(trail)] == [
        ["a", 0, 2, 0.6], ["b", 2, 3, 0.9], ["a", 3, 4, 0.6], ["a", 9, 10, 0.6],
    ]  # fmt: skip
    assert runs([]) == []


def test_load_is_the_share_of_time_spent_working() -> None:
    board = Board()
    for i in range(1, 400):
        cost = board.cost(Figures(busy_s=0.02 * i), 0.04 * i)
    assert cost["load"] == 0.5
    assert len(board.busy) <= 252
