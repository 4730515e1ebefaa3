"""The file of one event: encoded from pictures, or made of the source's packets."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from realtime.outputs.clip_folder import ClipFolder, translated
from realtime.outputs.packet_file import PacketFile
from realtime.sources.packets import Kept, Packet
from realtime.types import Image, Orientation


class Writer(Protocol):
    """`realtime.outputs.video_file.VideoWriter`."""

    @property
    def largest_bytes(self) -> int:
        """Upper bound of the file's size if it were closed now."""

    def write(self, rgb: Image, pts: Fraction) -> None:
        """uint8 (H, W, 3) and its time in seconds."""

    def close(self) -> None:
        """Finish the file."""


MakeWriter = Callable[[Path, tuple[int, int]], Writer]
"""Path and (width, height) in px -> writer."""


@dataclass(frozen=True)
class Passed:
    """A frame without its picture: where its packet is."""

    pts: Fraction
    kept: Kept
    turn: Orientation | None


class _File(Protocol):
    """What a clip is written with."""

    @property
    def largest_bytes(self) -> int: ...

    def close(self) -> None: ...


Waiting = Passed | tuple[Fraction, bytes]
"""A frame that may belong to an event: where its packet is, or its time and JPEG."""


class Clip:
    """The file of one event. It has a hidden name until it is kept."""

    def __init__(self, folder: ClipFolder, path: Path) -> None:
        self._folder, self._path = folder, path
        self.unfinished = folder.unfinished(path)
        self._file: _File | None = None
        self._largest_step = self._cut_bytes = 0

    @property
    def bytes(self) -> int:
        """Upper bound of the size of the finished file."""
        return self._cut_bytes if self._file is None else self._file.largest_bytes

    def takes(self, frame: Waiting) -> bool:
        """Whether this frame can follow those in the file."""
        raise NotImplementedError

    def fits(self, before: int) -> bool:
        """Whether another step of the largest size so far would fit, after one that began at `before` bytes; if not,
        nothing more is written."""
        bytes_now = self.bytes
        self._largest_step = max(self._largest_step, bytes_now - before)
        if bytes_now + self._largest_step <= self._folder.largest_bytes:
            return True
        self.cut_off()
        return False

    def cut_off(self) -> None:
        """Write nothing more."""
        if self._file is not None:
            self._cut_bytes = self.bytes
            file, self._file = self._file, None
            file.close()

    def keep(self) -> None:
        self.cut_off()
        self._folder.keep(self.unfinished, self._path)

    def discard(self) -> None:
        self.cut_off()
        with translated(self._path):
            self.unfinished.unlink()


class PictureClip(Clip):
    """Encoded from pictures."""

    def __init__(
        self, folder: ClipFolder, path: Path, make_writer: MakeWriter, rgb: Image, begin: Fraction
    ) -> None:
        super().__init__(folder, path)
        self._begin = begin
        self._writer = make_writer(self.unfinished, (rgb.shape[1], rgb.shape[0]))
        self._file = self._writer

    def takes(self, frame: Waiting) -> bool:
        return not isinstance(frame, Passed)

    def write(self, rgb: Image, pts: Fraction) -> None:
        if self._file is not None:
            before = self.bytes
            self._writer.write(rgb, pts - self._begin)
            self.fits(before)


class PacketClip(Clip):
    """Made of the packets of one ring. What follows in another one is not part of it: the source was opened again, or
    its pictures have changed."""

    def __init__(self, folder: ClipFolder, path: Path, frame: Passed, begin: Fraction) -> None:
        """`begin`: it starts with the last key frame at this time or before."""
        super().__init__(folder, path)
        self._ring = ring = frame.kept.packets
        self._next = frame.kept.number
        """Number of the packet to write next."""
        self._broken = True
        """Packets are missing before the next one: it has to be a key frame."""
        self._shift: Fraction | None = None
        """From the stamp of the last picture to its time in the file."""
        self._latest: Fraction | None = None
        """Time in the file of the last picture that the decoder gave."""
        self._origin: Fraction | None = None
        """Media time of the first picture in the file."""
        here = ring.place_of(frame.kept.number)
        key = None if here is None else ring.last_key(here + begin - frame.pts)
        if key is not None:
            self._next = key
        self._packets = PacketFile(self.unfinished, ring.layout, frame.turn)
        self._file = self._packets

    def takes(self, frame: Waiting) -> bool:
        return isinstance(frame, Passed) and frame.kept.packets is self._ring

    def write(self, frame: Passed) -> None:
        """Everything up to this frame."""
        here = self._ring.place_of(frame.kept.number)
        if self._file is None or here is None:
            return
        first = self._next if self._origin is None else None
        for number, packet, place in self._ring.take(self._next, frame.kept, here):
            since, begins = self._since(packet, place), packet.key and not packet.sound
            self._broken = (self._broken or number > self._next) and not (begins and since is not None)
            self._next = number + 1
            if not self._broken:
                self._write(packet, since)
            if begins and number == first:
                for sound in self._ring.sound_before(number):
                    self._write(sound, self._since(sound, None))

    def _write(self, packet: Packet, since: Fraction | None) -> None:
        if self._file is not None and since is not None and since.numerator >= 0:
            before = self._packets.largest_bytes
            self._packets.write(packet, since)
            if not packet.sound:
                self.fits(before)

    def _since(self, packet: Packet, place: Fraction | None) -> Fraction | None:
        """Seconds since the first picture in the file; of sound, and of a picture that the decoder did not give, by the
        stamp."""
        if place is None and (packet.sound or packet.stamp is not None):
            known = self._shift is not None and packet.stamp is not None
            return packet.stamp + self._shift if known else None  # type: ignore[operator]
        if place is None:
            return self._latest  # the second half of an interlaced picture
        if self._origin is None:
            self._origin = place
        since = self._latest = place - self._origin
        if packet.stamp is not None:
            self._shift = since - packet.stamp
        return since
