"""What is missing is named with its fix, and half a minute tells whether a machine keeps up."""

import json
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.backends.registry import REGISTRY
from engines.engine import Positions
from engines.errors import NotFetched
from engines.load import Engines
from engines.spec import Mode
from realtime.doctor.missing import Finding, findings, webcam
from realtime.doctor.trial import ENOUGH, Loads, advice, measure
from realtime.recognizer import Recognizer
from realtime.types import Frame
from tests.realtime.commands.test_cli import Invoke, invoke  # noqa: F401
from tests.realtime.test_many import Made
from tests.support.command_line import Doubles, invoke_with
from tests.support.doubles import PositionTicks, SawTicks, constant_rate
from tests.support.made_clips import every, write_clip
from tests.support.servers import free_port

STEP = Fraction(1, 25)


def found(what: str) -> Finding:
    return next(each for each in findings() if each.what == what)


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if these were not installed."""
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_what_the_tests_need_is_found() -> None:
    all_found = {each.what: each for each in findings()}
    assert set(REGISTRY) < set(all_found)
    for what in ("openvino", "files, RTSP, HTTP", "annotated video, clips", "metrics", "MQTT", "disk"):
        assert all_found[what].there, all_found[what]
        assert all_found[what].mend == ""
    for each in all_found.values():
        assert each.says
        assert each.there or each.mend or each.area == "backend"


@pytest.mark.parametrize(
    ("package", "what", "mend"),
    [
        ("torch", "torch", "pip install 'i3d-live[torch]'"),
        ("nncf", "int8", "pip install 'i3d-live[int8]'"),
        ("torch", "reference in torch", "pip install 'i3d-live[torch]'"),
        ("sklearn", "teach", "pip install 'i3d-live[teach]'"),
        ("tensorboard", "train", "pip install 'i3d-live[train]'"),
        ("openvino", "openvino", "pip install openvino"),
        ("gradio", "view", "pip install 'i3d-live[view]'"),
        ("paho", "MQTT", "pip install paho-mqtt"),
        ("prometheus_client", "metrics", "pip install prometheus-client"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    package: str, what: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, package)
    finding = found(what)
    assert not finding.there
    assert finding.mend == mend
    assert mend not in finding.says


@pytest.mark.parametrize(
    ("devices", "usable", "there", "mend"),
    [
        ([], [], False, "plug one in"),
        (["/dev/video0"], [], False, "usermod -aG video"),
        (["/dev/video0", "/dev/video2"], ["/dev/video2"], True, ""),
    ],
)
def test_a_camera_that_cannot_be_used_comes_with_its_fix(
    devices: list[str], usable: list[str], there: bool, mend: str
) -> None:
    camera = webcam(devices, usable)
    assert camera.there == there
    assert mend in camera.mend
    if there:
        assert camera.says == "webcam:2"


def test_missing_weights_come_with_the_command_that_fetches_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    missing = found("kinetics")
    assert not missing.there
    assert missing.mend == "i3d-live weights fetch kinetics"


class Busy(SawTicks):
    """An engine whose steps really take that long."""

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self._step_s = step_s

    def step(self, chunk: NDArray[Any], state: None, *, preview: bool = True) -> tuple[Positions, None]:
        time.sleep(self._step_s)
        return super().step(chunk, state)


def test_shares_are_of_real_time_whatever_the_speed_and_length_of_the_file(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 40))  # shorter than a window: read again and again

    def make(stopwatch: Any) -> Recognizer:
        return Recognizer({"rgb": Busy(0.16)}, stopwatch=stopwatch)

    from realtime.sources.open import open_video

    loads = measure(lambda: open_video(clip), make, 4.0)
    assert loads.stages["rgb engine"] >= 0.5
    assert loads.stages["rgb engine"] < 2  # 0.16 s every 0.32 s, and what a busy machine adds
    assert loads.media_s > 2.56
    assert loads.dropped == 0
    assert loads.decode > 0


def test_frames_of_a_camera_that_come_too_late_are_counted() -> None:
    class Camera(Made):
        def __iter__(self) -> Iterator[Frame]:
            return super().__iter__()

    def camera() -> Any:
        made = Camera(constant_rate(400, Fraction(25)), live=True, pace_s=0.01)
        made.__enter__ = lambda: made  # type: ignore[attr-defined]
        return Entered(made)

    loads = measure(camera, lambda stopwatch: Recognizer({"rgb": Busy(1.2)}, stopwatch=stopwatch), 5.0)
    assert loads.dropped > 0
    assert loads.decoded > loads.dropped


class Entered(Made):
    """Double of a camera that can be entered like a video."""

    def __init__(self, made: Made) -> None:
        super().__init__(made.frames, live=made.live, pace_s=made.pace_s)

    def __enter__(self) -> "Entered":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def hints(
    loads: Loads, engine: SawTicks, *streams: str, precisions: tuple[str, ...] = ("float32",)
) -> list[str]:
    engines = dict.fromkeys(streams or ("rgb",), engine)
    recognizer = Recognizer({"rgb": engine}, stride_ticks=8)
    recognizer.streams = tuple(engines)
    return list(advice(loads, Engines(engine, None, "double"), recognizer, precisions))


def test_a_machine_that_keeps_up_needs_no_advice() -> None:
    assert hints(Loads(0.2, {"resize": 0.1, "rgb engine": 0.6}), SawTicks()) == []
    assert Loads(0.2, {"rgb engine": ENOUGH}).keeps_up
    assert Loads(0.2, {"rgb engine": ENOUGH}).would_drop == 0


def test_for_windows_that_cost_too_much_continual_or_a_longer_stride_is_advised() -> None:
    loads = Loads(0.2, {"resize": 0.05, "rgb engine": 1.6})
    assert not loads.keeps_up
    assert loads.would_drop == pytest.approx(1 - 1 / 1.65)
    found = hints(loads, SawTicks())
    assert found[0].startswith("--mode continual: the engine then takes about 20 %, all together 25 %")
    assert found[1].startswith("--stride 16")


def test_flow_previews_precision_and_picture_size_are_named_where_they_cost_too_much() -> None:
    flow = Loads(0.2, {"flow input": 0.7, "rgb engine": 0.3, "flow engine": 0.3})
    assert any(
        hint.startswith("--streams rgb: without flow it is 30 %")
        for hint in hints(flow, SawTicks(), "rgb", "flow")
    )
    both = Loads(0.2, {"flow input": 0.7, "rgb and flow engine": 0.6})
    assert (both.flow, both.engine) == (1.0, 0.6)
    mode: Mode = "preview"
    preview = hints(Loads(0.2, {"rgb engine": 1.2}), PositionTicks(mode))
    assert any(hint.startswith("--mode continual: no provisional predictions") for hint in preview)
    exact = SawTicks()
    exact.precision = "float32"
    assert hints(Loads(0.2, {"rgb engine": 1.2}), exact, precisions=("bfloat16", "float32"))[0].startswith(
        "--precision bfloat16"
    )
    assert "second stream" in hints(Loads(1.4, {"rgb engine": 0.2}), SawTicks())[0]
    assert "smaller stream" in hints(Loads(0.4, {"resize": 1.1}), SawTicks())[-1]


@pytest.fixture
def called(invoke: Invoke) -> Invoke:  # noqa: F811
    return invoke


def test_the_command_says_what_is_there_and_whether_it_keeps_up(called: Invoke, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 100))
    code, out, err = called("doctor", clip, "--seconds", "2")
    assert (code, err) == (0, "")
    assert "ok      backend  openvino" in out
    assert "rgb engine" in out
    assert "This machine keeps up." in out
    code, out, _ = called("doctor", clip, "--seconds", "2", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["trial"]["keeps_up"] is True
    assert {each["area"] for each in told["findings"]} == {"backend", "extra", "weights", "source", "output"}
    assert np.isfinite(told["trial"]["decode"])


def test_a_source_that_cannot_be_opened_is_one_line_after_what_was_found(called: Invoke) -> None:
    code, out, err = called("doctor", f"rtsp://me:geheim@127.0.0.1:{free_port()}/x", "--seconds", "2")
    assert code == 1
    assert "backend" in out
    assert "refused" in err
    assert len(err.splitlines()) == 1
    assert "geheim" not in out + err


class WithDemoClip(Doubles):
    """Gives the same engines always, and a demo clip, or none as without a network."""

    def __init__(self, clip: Path | None) -> None:
        super().__init__(Engines(SawTicks(), None, "double, made for a test"))
        self.clip = clip

    def demo_clip(self) -> Path:
        if self.clip is None:
            raise NotFetched("the demo clip cannot be fetched; give a SOURCE")
        return self.clip


def test_without_a_source_the_demo_clip_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 100))
    tried = invoke_with(capsys, WithDemoClip(clip))("doctor", "--seconds", "2")[1]
    assert "the demo clip" in tried
    code, out, err = invoke_with(capsys, WithDemoClip(None))("doctor")
    assert code == 1
    assert "backend" in out
    assert "cannot be fetched" in err
