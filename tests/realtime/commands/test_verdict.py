"""What a log says, in plain words: sure only if a label lasts, and never right if the clip shows no known action."""

from typing import Any

import pytest

from realtime.commands.verdict import Verdict, judged, verdict


def event(label: str, start_s: float, end_s: float, probability: float) -> dict[str, Any]:
    return {"kind": "event", "label": label, "start_s": start_s, "end_s": end_s, "probability": probability}


def prediction(end_s: float, settled: bool = True, **top: float) -> dict[str, Any]:
    answers = [{"label": label, "probability": p} for label, p in top.items()]
    return {"kind": "prediction", "end_s": end_s, "settled": settled, "top": answers}


def summary(media_s: float) -> dict[str, Any]:
    return {"kind": "summary", "media_s": media_s}


JUGGLING = event("juggling", 0.0, 9.6, 0.98)
SAID: dict[str, tuple[list[dict[str, Any]], str | None, str]] = {
    "sure and right": (
        [event("jumping", 0.0, 0.4, 0.99), JUGGLING, summary(10.0)],
        "juggling",
        "Seen: juggling, 0.98, from 0.0 to 9.6 s. That is right.",
    ),
    "sure and wrong": (
        [JUGGLING, summary(10.0)],
        "tai chi",
        "Seen: juggling, 0.98, from 0.0 to 9.6 s. That is wrong: this clip shows tai chi.",
    ),
    "likely, but only for a moment": (
        [event("throwing axe", 4.16, 5.76, 0.89), event("parkour", 0.0, 0.96, 0.58), summary(7.7)],
        None,
        "Unsure: what lasted longest is throwing axe with 0.89, for 1.6 of 7.7 s. This clip shows none of the known "
        "actions: every prediction is wrong, however sure it looks.",
    ),
    "sure, but no known action is shown": (
        [JUGGLING, summary(10.0)],
        None,
        "Seen: juggling, 0.98, from 0.0 to 9.6 s. This clip shows none of the known actions: every prediction is wrong, "
        "however sure it looks.",
    ),
    "long, but not likely": (
        [event("tai chi", 0.0, 10.0, 0.55), summary(10.0)],
        "tai chi",
        "Unsure: what lasted longest is tai chi with 0.55, for 10.0 of 10.0 s. It is right nevertheless.",
    ),
    "no event": (
        [
            prediction(1.0, tai=0.3, yoga=0.2),
            prediction(2.0, yoga=0.42, tai=0.1),
            prediction(3.0, settled=False, tai=1.0),
            summary(3.0),
        ],
        "tai",
        "Unsure: the best is yoga with 0.31 on average; nothing known seems to be done here. "
        "That is wrong: this clip shows tai.",
    ),
    "nothing": ([summary(0.1)], "tai", "Nothing was seen: the video is too short."),
}


@pytest.mark.parametrize(("log", "label", "says"), SAID.values(), ids=SAID)
def test_the_verdict_is_put_into_words(log: list[dict[str, Any]], label: str | None, says: str) -> None:
    assert judged(verdict(log), label) == says


def test_it_is_sure_only_of_a_likely_event_that_lasts() -> None:
    def sure(probability: float, end_s: float, *, event: bool = True) -> bool:
        return Verdict("x", probability, 1.0, end_s, 8.0, event).sure

    assert sure(0.8, 5.0)
    assert not sure(0.79, 5.0)
    assert not sure(0.8, 4.9)
    assert not sure(0.9, 8.0, event=False)
