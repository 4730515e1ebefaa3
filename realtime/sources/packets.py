"""The newest packets of a source as it sent them, kept beside the decoder, so that video is cut without encoding.

    key p p p p key p p p p key p p       in the order of decoding, sound between them
    [ forgotten [ kept            ]

What is kept begins with a key frame. The reader's thread adds packets and the place of each picture; another thread
takes them out and says how far back it may still want them (`forget`). Where it does not, or is late, the oldest go
once there are too many.
"""

import io
import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet as AvPacket
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

VIDEO = ("h264", "hevc", "mpeg4", "mjpeg")
SOUND = ("aac", "mp3", "mp2", "ac3", "eac3", "opus")
"""Codecs that an MP4 file holds and common players play."""
MOST_BYTES = 128_000_000
"""Of all packets, at most: over a minute of any common camera."""
BESIDES_BYTES = 400
"""Of a packet besides its data."""
SOUND_AHEAD_S = 1
"""By how much sound may come before its pictures."""
MOST_UNSHOWN = 256
"""Pictures that a decoder may be behind."""
PARAMETER_SETS = {"h264": (0x1F, 0, (7, 8)), "hevc": (0x3F, 1, (32, 33, 34))}
"""By codec: mask and shift of the type in a unit's first byte, and the types that describe the pictures."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet, of the video or of its sound."""

    data: bytes
    key: bool
    """A decoder can begin with it."""
    sound: bool
    stamp: Fraction | None
    """Seconds on the source's clock."""
    duration: Fraction
    """Seconds; 0 if not stated."""


class Layout:
    """What a file needs to know of the streams before their packets: codecs, sizes, headers. A copy, which outlives the
    source."""

    def __init__(self, video: "VideoStream", sound: "AudioStream | None", first: bytes | None = None) -> None:
        """`first`: a key packet of later pictures that differ from those that `video` states."""
        import av

        self._holder = av.open(io.BytesIO(), "w", format="mp4")
        self.video = self._holder.add_stream_from_template(video, opaque=True)
        self.sound = None if sound is None else self._holder.add_stream_from_template(sound, opaque=True)
        self.time_base = Fraction(video.time_base or Fraction(1, 90_000))
        """Seconds, of the video's stamps."""
        context = video.codec_context
        self.reorder = int(context.reorder_depth or 0)
        """By how many places a picture may be shown later than it is decoded."""
        self.size_px = (context.width, context.height)
        """Width and height as stored."""
        self.headers = None if first is None else parameter_sets(first, codec_of(video))
        """In place of those of `video`, if there are any."""


class Kept(NamedTuple):
    """Where the packet of a picture is kept."""

    packets: "Packets"
    number: int


class Packets:
    """A ring of packets, numbered one after another."""

    def __init__(self, layout: Layout, first: int = 0, most_bytes: float = MOST_BYTES) -> None:
        """`first`: number of the first packet."""
        self.layout = layout
        self.bytes = 0
        """Of all packets kept."""
        self._lock = threading.Lock()
        self._most_bytes, self._first = most_bytes, first
        self._kept: deque[Packet] = deque()
        self._places: deque[Fraction | None] = deque()
        """Media time of each picture; None while unknown, and for sound."""
        self._keys: deque[int] = deque()
        self._by_stamp: dict[Fraction, int] = {}
        self._unstamped: deque[int] = deque(maxlen=MOST_UNSHOWN)
        """Pictures that were not shown yet."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def next(self) -> int:
        """The number that the next packet gets."""
        return self._first + len(self._kept)

    def add(self, packet: Packet) -> None:
        """What comes before the first key frame is not kept."""
        with self._lock:
            if packet.key and not packet.sound:
                self._keys.append(self.next)
            if not self._keys:
                self._first += 1
                return
            if packet.stamp is None and not packet.sound:
                self._unstamped.append(self.next)
            elif packet.stamp is not None and not packet.sound:
                self._by_stamp[packet.stamp] = self.next
                if len(self._by_stamp) > MOST_UNSHOWN:
                    del self._by_stamp[next(iter(self._by_stamp))]
            self._kept.append(packet)
            self._places.append(None)
            self.bytes += len(packet.data) + BESIDES_BYTES
            while self.bytes > self._most_bytes:
                self._drop_to(self._keys[1] if len(self._keys) > 1 else self.next)

    def find(self, stamp: Fraction | None) -> Kept | None:
        """The packet of the newest picture with this stamp; of the oldest without one."""
        if stamp is None:
            number = self._unstamped.popleft() if self._unstamped else None
        else:
            number = self._by_stamp.pop(stamp, None)
        return None if number is None or number < self._first else Kept(self, number)

    def place(self, number: int, pts: Fraction) -> None:
        """The media time of its picture."""
        with self._lock:
            if 0 <= number - self._first < len(self._places):
                self._places[number - self._first] = pts

    def place_of(self, number: int) -> Fraction | None:
        """None if it is unknown, or the packet no longer kept."""
        with self._lock:
            known = 0 <= number - self._first < len(self._places)
            return self._places[number - self._first] if known else None

    def last_key(self, before: Fraction) -> int | None:
        """Number of the last key frame at `before` or earlier; else of the first one there is."""
        with self._lock:
            found = self._last_key(before)
            return self._keys[0] if found is None and self._keys else found

    def take(self, number: int, until: Kept, before: Fraction) -> list[tuple[int, Packet, Fraction | None]]:
        """Packets from `number` on, up to the first one shown after `before`, and not beyond `until` where that is not
        known; each with its number and its place."""
        with self._lock:
            found = []
            for index in range(max(0, number - self._first), len(self._kept)):
                packet, place, each = self._kept[index], self._places[index], self._first + index
                if not packet.sound and (each > until.number if place is None else place > before):
                    break
                found.append((each, packet, place))
            return found

    def sound_before(self, number: int) -> list[Packet]:
        """Sound that came before a picture and is heard with it or after it."""
        with self._lock:
            begin = self._kept[number - self._first].stamp if number >= self._first else None
            earlier = [each for each in islice(self._kept, max(0, number - self._first)) if each.sound]
            return [
                each
                for each in earlier
                if begin is not None and each.stamp is not None and each.stamp >= begin
            ]

    def forget(self, before: Fraction) -> None:
        """No clip that is still to come begins earlier."""
        with self._lock:
            key = self._last_key(before - SOUND_AHEAD_S)
            if key is not None:
                self._drop_to(key)

    def split(self, number: int, layout: Layout) -> "Packets":
        """A new ring that begins with packet `number`, for pictures of another layout."""
        with self._lock:
            new = Packets(layout, max(number, self._first), self._most_bytes)
            rest = list(islice(self._kept, new.next - self._first, None))
            for _ in rest:
                self._kept.pop()
                self._places.pop()
            self._keys = deque(key for key in self._keys if key < number)
            self.bytes -= sum(len(packet.data) + BESIDES_BYTES for packet in rest)
        for packet in rest:
            new.add(packet)
        return new

    def _last_key(self, before: Fraction) -> int | None:
        found = None
        for key in self._keys:
            place = self._places[key - self._first]
            if place is None or place > before:
                break
            found = key
        return found

    def _drop_to(self, number: int) -> None:
        while self._first < number:
            self.bytes -= len(self._kept.popleft().data) + BESIDES_BYTES
            self._places.popleft()
            self._first += 1
        while self._keys and self._keys[0] < number:
            self._keys.popleft()


def codec_of(stream: "VideoStream | AudioStream") -> str:
    """FFmpeg's name of the codec, whichever library decodes it."""
    return stream.codec_context.codec.canonical_name


def parameter_sets(data: bytes, codec: str) -> bytes | None:
    """The units of a key packet that describe its pictures, where they stand in it behind start codes."""
    if codec not in PARAMETER_SETS or not data.startswith((b"\0\0\1", b"\0\0\0\1")):
        return None
    mask, shift, types = PARAMETER_SETS[codec]
    units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")]
    found = [unit for unit in units if unit and (unit[0] >> shift) & mask in types]
    return b"".join(b"\0\0\0\1" + unit for unit in found) or None


def keeper_for(container: "InputContainer", video: "VideoStream", *, stamped: bool) -> "Keeper | None":
    """None where packets cannot be put into another file as they are. `stamped`: False where it has no times: then the
    pictures have to be shown in the order of decoding."""
    fits = codec_of(video) in VIDEO and (stamped or codec_of(video) == "mjpeg")
    return Keeper(container, video) if fits else None


class Keeper:
    """Keeps the packets of one open source; used by its reader's thread."""

    def __init__(self, container: "InputContainer", video: "VideoStream") -> None:
        sounds = [sound for sound in container.streams.audio if codec_of(sound) in SOUND]
        self._video, self._sound = video, sounds[0] if sounds else None
        self._size_px: tuple[int, int] | None = None
        self._packets = Packets(Layout(video, self._sound))
        self._last_key = b""

    @property
    def sound_index(self) -> int | None:
        """Index of the stream whose packets are wanted besides the video's."""
        return None if self._sound is None else self._sound.index

    def add(self, packet: "AvPacket[Any]") -> None:
        """A complete packet of the video or of the sound, after it was decoded."""
        base, sound = Fraction(packet.time_base), packet.stream_index == self.sound_index
        stamp = None if packet.pts is None else packet.pts * base
        self._packets.add(
            Packet(bytes(packet), packet.is_keyframe, sound, stamp, (packet.duration or 0) * base)
        )

    def kept(self, picture: "VideoFrame") -> Kept | None:
        """Where the packet of a decoded picture is."""
        stamp = None if picture.pts is None else picture.pts * Fraction(self._video.time_base or 1)
        found = self._packets.find(stamp)
        if found is None:
            return None
        size_px = (picture.width, picture.height)
        if self._size_px not in (None, size_px):
            (_, first, _), *_ = self._packets.take(found.number, found, Fraction(0))
            layout = Layout(self._video, self._sound, first.data)
            self._packets = self._packets.split(found.number, layout)
            found = Kept(self._packets, found.number)
        self._size_px = size_px
        return found
