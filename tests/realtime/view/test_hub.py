"""Who opens channels, who watches them, and when they are closed."""

from pathlib import Path

import pytest

from realtime.errors import UsageError
from realtime.view.hub import LEFT_S, MOST_RUNNING, EngineStore, Hub
from realtime.view.settings import Settings
from realtime.zones import Zone
from tests.support.clocks import ManualClock
from tests.support.view_doubles import Pushed, load, no_demo, until

RGB = Settings(streams="rgb")


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(opened: list[str], clock: ManualClock) -> Hub:
    def open_source(source: str | Path) -> Pushed:
        opened.append(str(source))
        return Pushed()

    return Hub(["rtsp://u:secret@cam/1", "/srv/clips/door.mp4"], load, open_source, no_demo, clock=clock)


def test_sources_have_names_without_secrets_and_folders(hub: Hub) -> None:
    assert list(hub.sources) == ["rtsp://***@cam/1", "door.mp4"]
    hub.close()


def test_zones_of_a_source_of_the_server_outlast_its_channels(opened: list[str]) -> None:
    door = Zone("door", 10, 20, 30, 40)
    hub = Hub(["cam", "yard"], load, lambda source: Pushed(), no_demo, zones={"cam": [door]})
    token = hub.start_server_source("cam", RGB)
    first = hub.find(token)
    assert first is not None
    assert first.zones.now == (door,)
    first.zones.put(Zone("till", 1, 2, 3, 4))
    hub.stop(token)
    assert first.join(20)
    for name, zones in (("cam", ["door", "till"]), ("yard", [])):
        channel = hub.find(hub.start_server_source(name, RGB))
        assert channel is not None
        assert [zone.name for zone in channel.zones.now] == zones
    hub.close()


def test_two_pages_that_ask_for_the_same_camera_share_it(hub: Hub, opened: list[str]) -> None:
    one, other = (hub.start_server_source("rtsp://***@cam/1", RGB) for _ in range(2))
    assert one != other
    assert hub.enter(one) is hub.enter(other)
    mine, yours = hub.start_address("webcam:0", RGB), hub.start_address(" webcam:0 ", RGB)
    assert hub.find(mine) is hub.find(yours) is not hub.find(one)
    until(lambda: sorted(opened) == ["rtsp://u:secret@cam/1", "webcam:0"])
    hub.close()


def test_stopping_ends_only_ones_own_start(hub: Hub) -> None:
    """Whether the others are watching already or are about to."""
    one, other = (hub.start_server_source("door.mp4", RGB) for _ in range(2))
    channel = hub.enter(one)
    assert channel is not None
    hub.stop(one)
    assert hub.find(one) is None
    assert hub.enter(other) is channel
    assert not channel.join(0.5)
    hub.stop(other)
    hub.stop("nobody")
    assert channel.join(20)


def test_a_channel_that_nobody_watches_is_closed(hub: Hub, clock: ManualClock) -> None:
    token = hub.start_browser(RGB)
    channel = hub.enter(token)
    hub.enter(token)
    hub.leave(token)
    clock.pass_s(LEFT_S + 0.1)
    hub.sweep()
    assert hub.find(token) is channel
    hub.leave(token)
    hub.sweep()
    assert hub.find(token) is channel
    clock.pass_s(LEFT_S + 0.1)
    hub.sweep()
    assert hub.find(token) is None
    assert hub.enter(token) is None
    assert channel is not None
    assert channel.join(20)


def test_the_number_of_running_sources_is_limited(hub: Hub) -> None:
    tokens = [hub.start_browser(RGB) for _ in range(MOST_RUNNING)]
    with pytest.raises(UsageError, match="already runs 4 sources"):
        hub.start_browser(RGB)
    channel = hub.find(tokens[0])
    hub.stop(tokens[0])
    assert channel is not None
    assert channel.join(20)
    hub.start_browser(RGB)
    hub.close()


def test_an_upload_is_deleted_with_its_channel_or_when_there_is_no_room(hub: Hub) -> None:
    def send() -> str:
        path = hub.uploads.new()
        path.write_bytes(b"\0\0\0\x20ftypisom")
        return hub.uploads.add(path, "mine.mp4")

    token = hub.start_upload(send(), RGB)
    channel = hub.find(token)
    assert channel is not None
    assert channel.name == "mine.mp4"
    hub.stop(token)
    assert channel.join(20)
    for _ in range(MOST_RUNNING):
        hub.start_browser(RGB)
    with pytest.raises(UsageError):
        hub.start_upload(send(), RGB)
    assert not list(hub.uploads.folder.iterdir())
    hub.close()


@pytest.mark.parametrize(
    "address",
    ["", "/etc/passwd", "file:///etc/passwd", "concat:a|b", "-", "C:\\x", "ftp://x/y", "javascript:1", "rtsp:/x", "x" * 99, "http://" + "x" * 5000],
)  # fmt: skip
def test_a_page_cannot_name_a_file_of_this_machine(hub: Hub, opened: list[str], address: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        hub.start_address(address, RGB)
    assert not opened
    hub.close()


def test_a_password_in_an_address_is_not_repeated(hub: Hub) -> None:
    with pytest.raises(UsageError) as refused:
        hub.start_address("srt://me:secret@cam", RGB)
    assert "secret" not in str(refused.value)
    hub.close()


def test_engines_are_shared_as_long_as_they_are_used() -> None:
    loaded: list[Settings] = []

    def counted(settings: Settings) -> object:
        loaded.append(settings)
        return load(settings)

    store = EngineStore(counted)  # type: ignore[arg-type]
    first = store(RGB)
    assert store(Settings(streams="rgb", stride=3)) is first
    assert store(Settings(streams="both")) is not first
    assert len(loaded) == 2
