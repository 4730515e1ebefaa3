"""All channels of a server: which pages hold one, which watch it, and when it is let go."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from engines.load import EngineOptions, Engines
from engines.runtime.shared import SharedEngine
from realtime.clock import Clock
from realtime.errors import SourceError, UsageError, one_line
from realtime.reader_threads import Source
from realtime.sources.address import masked
from realtime.stages.live_zones import LiveZones
from realtime.view.browser_camera import BrowserCamera
from realtime.view.channel import Channel
from realtime.view.recorder import NewWriter, Recorder
from realtime.view.settings import Settings
from realtime.view.uploads import Uploads
from realtime.zones import Zone

MOST_RUNNING = 4
"""Channels at the same time: each costs as much as its engine and its decoder."""
LEFT_S = 2.0
"""A start is let go this long after its page stopped watching. A page that is reloaded is back sooner."""
UNSEEN_S = 10.0
"""How long a start waits for the page that asked for it to connect."""
ADDRESSES = ("rtsp://", "rtsps://", "http://", "https://", "webcam:")
"""What a page may ask for; not paths, which are files of this machine."""
LONGEST_ADDRESS = 2000


@dataclass
class Start:
    """One page's hold on a channel. A channel runs as long as any start holds it, so that no page can end what another
    one watches or is about to watch."""

    channel: Channel
    key: str
    """Shared by all starts of the same source of the server; otherwise unique."""
    unseen_since_s: float
    viewers: int = 0
    patience_s: float = UNSEEN_S


class EngineStore:
    """Engines by their options, kept as long as they are used; loaded one at a time. Thread-safe."""

    def __init__(self, load: Callable[[Settings], Engines]) -> None:
        self._load = load
        self._lock = Lock()
        self._loaded: WeakValueDictionary[EngineOptions, Engines] = WeakValueDictionary()

    def __call__(self, settings: Settings) -> Engines:
        with self._lock:
            engines = self._loaded.get(settings.engine)
            if engines is None:
                engines = self._loaded[settings.engine] = _shared(self._load(settings))
            return engines


class Hub:
    """Each `start_...` returns a new token, which grants access to the channel. Call `sweep` a few times a second."""

    def __init__(
        self,
        sources: Sequence[str] | Mapping[str, str],
        load: Callable[[Settings], Engines],
        open_source: Callable[[str | Path], Source],
        demo: Callable[[], Path],
        *,
        record_to: Path | None = None,
        new_writer: NewWriter | None = None,
        zones: Mapping[str, Sequence[Zone]] | None = None,
        idle_s: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`sources`: what the server was started with, as on the command line, or by the names that pages see.
        `open_source`: `realtime.sources.open.open_video`. `demo`: fetches the demo clip. `record_to`: folder for clips
        that pages record, written by `new_writer`; None if they may not. `zones`: those that sources have at first, by
        the name that pages see. `idle_s`: as in `Recognizer`."""
        self.sources = dict(sources) if isinstance(sources, Mapping) else by_name(sources)
        """By the name that pages see."""
        self.engines = EngineStore(load)
        self._open, self._demo = open_source, demo
        self._record_to, self._new_writer, self._idle_s = record_to, new_writer, idle_s
        self._starts: dict[str, Start] = {}
        """By token."""
        self._first_zones = zones or {}
        self._zones = self._new_zones()
        """Of this server's sources; they outlast its channels."""
        self._lock = Lock()
        self._clock = clock or Clock()
        self.uploads = Uploads(self._clock)

    def start_server_source(self, name: str, settings: Settings) -> str:
        """One of `sources`, shared by all pages that watch it."""
        if name not in self.sources:
            raise UsageError(
                f"{masked(name)[:80]!r} is not a source of this server; choose one of {', '.join(self.sources)}"
            )
        return self._start(name, name, lambda: self._open(self.sources[name]), settings)

    def start_address(self, address: str, settings: Settings) -> str:
        """A network address or camera of this machine, as typed; shared by all pages that ask for the same."""
        address = address.strip()
        if not address.lower().startswith(ADDRESSES) or len(address) > LONGEST_ADDRESS:
            raise UsageError(
                f"{masked(address)[:80]!r} is not an address; give rtsp://..., http://... or webcam:0 (for a file of "
                "your own choose Video file)"
            )
        return self._start(f"address {address}", masked(address), lambda: self._open(address), settings)

    def start_demo(self, settings: Settings) -> str:
        return self._start(None, "demo clip", lambda: self._open(self._demo()), settings)

    def start_browser(self, settings: Settings) -> str:
        """The webcam of the page that asks; see `browser_camera`."""
        return self._start(None, BrowserCamera.name, BrowserCamera, settings)

    def start_upload(self, key: str, settings: Settings) -> str:
        """A file of `uploads`, which is deleted when the channel is let go."""
        upload = self.uploads.take(key)

        def opened() -> Source:
            try:
                video = self._open(upload.path)
            except SourceError as error:
                raise SourceError(str(error).replace(str(upload.path), upload.name)) from error
            video.name = upload.name
            return video

        try:
            return self._start(None, upload.name, opened, settings, upload.delete)
        except UsageError:
            upload.delete()
            raise

    @property
    def records(self) -> bool:
        """Whether pages may record clips."""
        return self._record_to is not None and self._new_writer is not None

    def record(self, token: str, label: str, clips: int) -> None:
        """Record clips of an action from a running channel. Raises UsageError if that is impossible."""
        if self._record_to is None or self._new_writer is None:
            raise UsageError("this server records nothing; start it with i3d-live view --record FOLDER")
        channel = self.find(token)
        if channel is None or not channel.running:
            raise UsageError("there is nothing to record yet; start a source first")
        channel.record(Recorder(self._record_to, label, clips, self._new_writer))

    def find(self, token: str) -> Channel | None:
        start = self._starts.get(token)
        return None if start is None else start.channel

    def enter(self, token: str) -> Channel | None:
        """A page starts to watch a channel; None if there is none."""
        with self._lock:
            start = self._starts.get(token)
            if start is None:
                return None
            start.viewers += 1
            return start.channel

    def leave(self, token: str) -> None:
        """A page that had entered stops watching."""
        with self._lock:
            start = self._starts.get(token)
            if start is not None:
                start.viewers -= 1
                start.unseen_since_s, start.patience_s = self._clock.now_s(), LEFT_S

    def stop(self, token: str) -> None:
        """End this start; its channel continues only if others hold it too."""
        with self._lock:
            self._let_go(token)

    def sweep(self) -> None:
        """Let go of starts that no page watches, and of uploads that were never started."""
        self.uploads.sweep()
        with self._lock:
            now_s = self._clock.now_s()
            for token, start in list(self._starts.items()):
                if start.viewers == 0 and now_s - start.unseen_since_s > start.patience_s:
                    self._let_go(token)

    @property
    def running(self) -> list[str]:
        """Names of the channels that run."""
        with self._lock:
            return [channel.name for channel in self._channels() if channel.running]

    def clear(self) -> set[Channel]:
        """Stop everything without waiting, and return the channels that ran. Zones are as they were at first."""
        with self._lock:
            channels, self._starts = self._channels(), {}
            self._zones = self._new_zones()
        for channel in channels:
            channel.stop()
        return channels

    def close(self) -> None:
        """Stop everything and delete what was uploaded."""
        for channel in self.clear():
            channel.join(timeout_s=2.0)
        self.uploads.close()

    def _new_zones(self) -> dict[str, LiveZones]:
        return {name: LiveZones(self._first_zones.get(name, ())) for name in self.sources}

    def _channels(self) -> set[Channel]:
        return {start.channel for start in self._starts.values()}

    def _let_go(self, token: str) -> None:
        start = self._starts.pop(token, None)
        if start is not None and start.channel not in self._channels():
            start.channel.stop()

    def _start(
        self,
        key: str | None,
        name: str,
        open_source: Callable[[], Source],
        settings: Settings,
        released: Callable[[], None] = lambda: None,
    ) -> str:
        token = secrets.token_urlsafe(16)
        with self._lock:
            for start in self._starts.values():
                if start.key == key and start.channel.running:
                    self._starts[token] = Start(start.channel, start.key, self._clock.now_s())
                    return token
            if sum(channel.running for channel in self._channels()) >= MOST_RUNNING:
                raise UsageError(
                    f"this server already runs {MOST_RUNNING} sources, which is its limit; stop one, or wait"
                )
            channel = Channel(
                name,
                open_source,
                settings,
                self.engines,
                released=released,
                zones=self._zones.get(key or ""),
                idle_s=self._idle_s,
                clock=self._clock,
            )
            self._starts[token] = Start(channel, key or token, self._clock.now_s())
            return token


def _shared(engines: Engines) -> Engines:
    rgb, flow = (None if engine is None else SharedEngine(engine) for engine in (engines.rgb, engines.flow))
    return Engines(rgb, flow, engines.reason)


def by_name(sources: Sequence[str]) -> dict[str, str]:
    """Sources by the name that pages see: the last part of a file's path, or an address without its password."""
    named: dict[str, str] = {}
    for source in sources:
        name = masked(source) if "://" in source else one_line(Path(source).name)
        named[name if name not in named else masked(source)] = source
    return named
