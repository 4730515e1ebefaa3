"""Real clips through the real network: the labels of the clips' README, whole and as a stream."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from engines.load import Engines
from realtime.commands.classify import classify_file
from realtime.commands.sources import SourceOptions
from realtime.recognizer import Output, Recognizer
from realtime.sources.open import open_video
from realtime.types import Event, Prediction
from tests.realtime.conftest import Run

Load = Callable[..., Engines]
TOP = {
    "ta_chi.mp4": ("tai chi", 18.0633),
    "clean_and_jerk.mp4": ("clean and jerk", 23.9480),
    "v_Punch_g03_c01.avi": ("punching person (boxing)", 30.8363),
    "eat.mkv": ("sign language interpreting", 13.6185),
}
"""Top-1 of the whole clip and its logit, as the clips' README gives them: pixel aspect not applied, torch, float32."""


@pytest.mark.parametrize(
    ("backend", "clip"),
    [
        *(("openvino", clip) for clip in TOP),
        ("torch", "v_Punch_g03_c01.avi"),
        # The network in torch is that of the one above, and these clips are those of OpenVINO.
        pytest.param("torch", "eat.mkv", marks=pytest.mark.slow),
        pytest.param("torch", "ta_chi.mp4", marks=pytest.mark.slow),
        pytest.param("torch", "clean_and_jerk.mp4", marks=pytest.mark.slow),
    ],
)
def test_the_whole_clip_gets_its_label(clip: str, backend: str, clips: Path, engines: Load) -> None:
    answer = classify_file(
        str(clips / clip), engines("continual", backend), SourceOptions(square_pixels=False)
    )
    label, logit, _ = answer.top[0]
    assert label == TOP[clip][0]
    # The README allows for another decoder or resizer; float32 on the same pixels gives the same to 1e-3.
    assert logit == pytest.approx(TOP[clip][1], abs=0.3 if backend == "openvino" else 0.01)


def longest(outputs: list[Output]) -> str:
    events = [item for item in outputs if isinstance(item, Event)]
    return max(events, key=lambda event: event.end_s - event.start_s).label


def outputs_of(path: Path, engines: Engines, **options: int) -> list[Output]:
    recognizer = Recognizer(engines.by_stream, **options)  # type: ignore[arg-type]
    with open_video(path) as video:
        return [out for frame in video for out in recognizer.push(frame)] + recognizer.flush()


@pytest.fixture(scope="module")
def streamed(clips: Path, engines: Load) -> Callable[[str], list[Output]]:
    """What `continual` gives for a clip, frame by frame."""
    return cache(lambda clip: outputs_of(clips / clip, engines("continual")))


@pytest.mark.parametrize(
    "clip", [pytest.param(clip, marks=pytest.mark.slow if clip == "ta_chi.mp4" else ()) for clip in TOP]
)
def test_the_longest_event_of_the_stream_is_the_label(
    clip: str, streamed: Callable[[str], list[Output]]
) -> None:
    assert longest(streamed(clip)) == TOP[clip][0]


@pytest.mark.parametrize("clip", [pytest.param("v_Punch_g03_c01.avi", marks=pytest.mark.slow), "eat.mkv"])
def test_windows_give_the_same_label(clip: str, clips: Path, engines: Load) -> None:
    assert longest(outputs_of(clips / clip, engines("window"), stride_ticks=22)) == TOP[clip][0]


def test_read_in_any_way_a_file_gives_the_same_predictions(
    clips: Path, engines: Load, i3d_live: Run, streamed: Callable[[str], list[Output]]
) -> None:
    """Frame by frame here, in one go here, and through the mailbox and the log of a separate process."""
    path = clips / "v_Punch_g03_c01.avi"
    by_frame = [item for item in streamed(path.name) if isinstance(item, Prediction)]
    with open_video(path) as video:
        frames = list(video)
    recognizer = Recognizer(engines("continual").by_stream)
    whole = [out for frame in frames for out in recognizer.push(frame)] + recognizer.flush()
    whole = [item for item in whole if isinstance(item, Prediction)]
    assert [p.probabilities.tobytes() for p in by_frame] == [p.probabilities.tobytes() for p in whole]
    command = (
        "run",
        path.resolve(),
        "--model",
        "kinetics",
        "--mode",
        "continual",
        "--backend",
        "openvino",
        "--precision",
        "float32",
    )
    lines = [json.loads(line) for line in i3d_live(*command).stdout.splitlines()]
    logged = [(line["tick"], line["top"]) for line in lines if line["kind"] == "prediction"]
    expected = [
        (p.stop_tick, [{"label": label, "probability": round(value, 4)} for label, value in p.top])
        for p in by_frame
    ]
    assert logged == expected
