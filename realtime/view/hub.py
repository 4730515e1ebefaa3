"""All channels of a server: who opens one, who looks at it, and when it is let go."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from engines.build import Engines
from realtime.address import masked
from realtime.errors import SourceError, UsageError
from realtime.pump import Source
from realtime.view.channel import Channel
from realtime.view.feeds import BrowserCamera
from realtime.view.recorder import NewWriter, Recorder
from realtime.view.settings import Settings
from realtime.view.uploads import Uploads

MOST_RUNNING = 4
"""Channels at once: each costs as much as its engine and its decoder do."""
LEFT_S = 2.0
"""Without anybody looking for so long, a channel is let go. A page that is loaded again is back sooner."""
UNSEEN_S = 10.0
"""A new channel waits so long for its first viewer."""
ADDRESSES = ("rtsp://", "rtsps://", "http://", "https://", "webcam:")
"""What a page may ask for; paths it may not, they are files of this machine."""
LONGEST_ADDRESS = 2000


@dataclass
class Entry:
    """A channel and those who look at it."""

    channel: Channel
    key: str
    """The same for all who ask for the same source of the server; else its own."""
    viewers: int = 0
    unseen_since_s: float = field(default_factory=time.monotonic)
    patience_s: float = UNSEEN_S


class EngineStore:
    """Engines by what decides on them, as long as somebody uses them; loaded one at a time."""

    def __init__(self, load: Callable[[Settings], Engines]) -> None:
        self._load = load
        self._lock = Lock()
        self._loaded: WeakValueDictionary[tuple[str, str, str | None, str], Engines] = WeakValueDictionary()

    def __call__(self, settings: Settings) -> Engines:
        with self._lock:
            engines = self._loaded.get(settings.engine)
            if engines is None:
                engines = self._loaded[settings.engine] = self._load(settings)
            return engines


class Hub:
    """`start` gives a token; whoever has it may look. `sweep` is to be called a few times a second."""

    def __init__(
        self,
        sources: Sequence[str],
        load: Callable[[Settings], Engines],
        open_source: Callable[[str | Path], Source],
        demo: Callable[[], Path],
        *,
        record_to: Path | None = None,
        new_writer: NewWriter | None = None,
    ) -> None:
        """`sources`: what the server was started with, as on the command line. `open_source`: `realtime.source.open_video`.
        `demo`: fetches the demo clip. `record_to`: folder for clips that pages record, written by `new_writer`; without, they
        cannot."""
        self.sources = _named(sources)
        """By the name that a page may see."""
        self.engines = EngineStore(load)
        self._open, self._demo = open_source, demo
        self._record_to, self._new_writer = record_to, new_writer
        self._entries: dict[str, Entry] = {}
        self._lock = Lock()
        self._engine_lock = Lock()
        self.uploads = Uploads()

    def start_server_source(self, name: str, settings: Settings) -> str:
        """One of `sources`, together with all others who look at it."""
        if name not in self.sources:
            raise UsageError(
                f"{name[:80]!r} is not a source of this server; choose one of {', '.join(self.sources)}"
            )
        return self._start(name, name, lambda: self._open(self.sources[name]), settings)

    def start_address(self, address: str, settings: Settings) -> str:
        """A network address or camera of this machine that somebody typed; shared by all who type the same."""
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
        """The webcam of the page that asks; its pictures go to `browser_camera`."""
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
        """Clips of an action from a running channel. Raises UsageError where that cannot be."""
        if self._record_to is None or self._new_writer is None:
            raise UsageError("this server records nothing; start it with i3d-live view --record FOLDER")
        channel = self.find(token)
        if channel is None or not channel.running:
            raise UsageError("there is nothing to record yet; start a source first")
        channel.record(Recorder(self._record_to, label, clips, self._new_writer))

    def find(self, token: str) -> Channel | None:
        entry = self._entries.get(token)
        return None if entry is None else entry.channel

    def enter(self, token: str) -> Channel | None:
        """Somebody looks at a channel; None where there is none."""
        with self._lock:
            entry = self._entries.get(token)
            if entry is None:
                return None
            entry.viewers += 1
            return entry.channel

    def leave(self, token: str) -> None:
        """Somebody who had entered looks no more."""
        with self._lock:
            entry = self._entries.get(token)
            if entry is not None:
                entry.viewers -= 1
                entry.unseen_since_s, entry.patience_s = time.monotonic(), LEFT_S

    def stop(self, token: str) -> None:
        """Let a channel go, unless others look at it too."""
        with self._lock:
            entry = self._entries.get(token)
            if entry is not None and entry.viewers <= 1:
                del self._entries[token]
                entry.channel.stop()

    def sweep(self) -> None:
        """Let go of channels that nobody looks at, and of uploads that nobody started."""
        self.uploads.sweep()
        with self._lock:
            now_s = time.monotonic()
            for token, entry in list(self._entries.items()):
                if entry.viewers == 0 and now_s - entry.unseen_since_s > entry.patience_s:
                    del self._entries[token]
                    entry.channel.stop()

    def close(self) -> None:
        """Stop everything and delete what was uploaded."""
        with self._lock:
            entries, self._entries = list(self._entries.values()), {}
        for entry in entries:
            entry.channel.stop()
        for entry in entries:
            entry.channel.join(timeout_s=2.0)
        self.uploads.close()

    def _start(
        self,
        key: str | None,
        name: str,
        open_source: Callable[[], Source],
        settings: Settings,
        released: Callable[[], None] = lambda: None,
    ) -> str:
        with self._lock:
            for token, entry in self._entries.items():
                if entry.key == key and entry.channel.running:
                    entry.unseen_since_s, entry.patience_s = time.monotonic(), UNSEEN_S
                    return token
            if sum(entry.channel.running for entry in self._entries.values()) >= MOST_RUNNING:
                raise UsageError(
                    f"this server already runs {MOST_RUNNING} sources, which is all it does at once; stop one, or wait"
                )
            token = secrets.token_urlsafe(16)
            channel = Channel(
                name, open_source, settings, self.engines, engine_lock=self._engine_lock, released=released
            )
            self._entries[token] = Entry(channel, key or token)
            return token


def _named(sources: Sequence[str]) -> dict[str, str]:
    """Sources by a name that a page may see: of a file its last part, of an address all but its password."""
    named: dict[str, str] = {}
    for source in sources:
        name = masked(source) if "://" in source else Path(source).name
        named[name if name not in named else masked(source)] = source
    return named
