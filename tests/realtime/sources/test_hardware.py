"""Decoding elsewhere than on the CPU. No such device is needed: what is tested is what happens without one."""

from fractions import Fraction
from pathlib import Path

import pytest

from realtime.commands.sources import SourceOptions
from realtime.errors import UsageError
from realtime.sources.hardware import DEVICES, Decode, Device, device_for, failure
from realtime.sources.open import open_video
from tests.support.made_clips import every, read_number, write_clip, write_images

ABSENT = [device for device in DEVICES if failure(device) is not None]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 10))


@pytest.mark.parametrize("decode", ["cpu", "auto", *DEVICES])
def test_every_choice_gives_the_same_pictures(clip: Path, decode: Decode) -> None:
    with open_video(clip, decode=decode) as video:
        assert [read_number(frame.rgb) for frame in video] == list(range(10))


@pytest.mark.parametrize("decode", ABSENT)
def test_a_device_that_is_not_there_is_named_with_the_reason(clip: Path, decode: Decode) -> None:
    with open_video(clip, decode=decode) as video:
        assert video.decoding == f"decoded on the CPU: {decode} cannot be used ({failure(decode)})"


def test_nothing_is_said_where_the_cpu_was_asked_for(clip: Path) -> None:
    with open_video(clip) as video:
        assert video.decoding == ""


def test_a_codec_that_the_device_does_not_decode_is_named(clip: Path) -> None:
    class Codec:
        name, is_hwaccel = "mpeg1video", False

    assert Device("cuda").said(Codec) == "decoded on the CPU: cuda does not decode mpeg1video"
    Codec.is_hwaccel = True
    assert Device("cuda").said(Codec) == "decoded on cuda"


@pytest.mark.skipif(len(ABSENT) < len(DEVICES), reason="a device is here")
def test_auto_says_why_each_device_is_out_of_the_question() -> None:
    device = device_for("auto")
    assert device.name is None
    assert all(f"{name} cannot be used (" in device.why for name in DEVICES)


def test_a_name_that_is_not_known_is_an_error(clip: Path) -> None:
    with pytest.raises(UsageError, match="cannot decode on 'gpu'; choose one of cpu, auto, cuda"):
        open_video(clip, decode="gpu")  # type: ignore[arg-type]


def test_a_folder_of_images_is_decoded_on_the_cpu(tmp_path: Path) -> None:
    with open_video(write_images(tmp_path / "images", 2), image_fps=Fraction(1), decode="auto") as video:
        assert video.decoding == ""


@pytest.mark.skipif(not ABSENT, reason="all devices are here")
def test_a_command_says_it_once(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = SourceOptions(decode=ABSENT[0])  # type: ignore[arg-type]
    for _ in range(2):
        options.opener()(clip).close()
    said = capsys.readouterr().err.splitlines()
    assert said == [f"i3d-live: {clip}: decoded on the CPU: {device_for(options.decode).why}"]
