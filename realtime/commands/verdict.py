"""What was seen in a whole video, and how certain that is, in plain words: from the lines of its log."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from realtime.outputs.log import Line

SURE = 0.8
"""Mean probability of the longest event from which it counts as sure, if it also lasts for this share of the video:"""
MOST = 0.5


@dataclass(frozen=True)
class Verdict:
    """The label that lasted longest."""

    label: str
    probability: float
    """Mean over its duration."""
    start_s: float
    end_s: float
    video_s: float
    event: bool
    """Whether it was ever likely enough to count as an event; otherwise it is the most likely on average."""

    @property
    def sure(self) -> bool:
        """A correct label lasts; one that is likely only for a moment is a guess, however likely."""
        lasts = self.end_s - self.start_s >= MOST * self.video_s
        return self.event and lasts and self.probability >= SURE

    def __str__(self) -> str:
        if self.sure:
            return (
                f"Seen: {self.label}, {self.probability:.2f}, from {self.start_s:.1f} to {self.end_s:.1f} s."
            )
        if self.event:
            return (
                f"Unsure: what lasted longest is {self.label} with {self.probability:.2f}, "
                f"for {self.end_s - self.start_s:.1f} of {self.video_s:.1f} s."
            )
        return (
            f"Unsure: the best is {self.label} with {self.probability:.2f} on average; "
            "nothing known seems to be done here."
        )


def verdict(log: Iterable[Line]) -> Verdict | None:
    """The verdict from one source's complete log; None if there was no prediction at all."""
    events: list[Line] = []
    sums: dict[str, float] = defaultdict(float)
    count, video_s = 0, 0.0
    for line in log:
        if line["kind"] == "event":
            events.append(line)
        elif line["kind"] == "prediction" and line["settled"]:
            count, video_s = count + 1, max(video_s, line["end_s"])
            for each in line["top"]:
                sums[each["label"]] += each["probability"]
        elif line["kind"] == "summary":
            video_s = line["media_s"]
    if events:
        e = max(events, key=lambda event: float(event["end_s"] - event["start_s"]))
        return Verdict(e["label"], e["probability"], e["start_s"], e["end_s"], video_s, event=True)
    if not sums:
        return None
    label = max(sums, key=sums.__getitem__)
    return Verdict(label, sums[label] / count, 0.0, video_s, video_s, event=False)


def judged(found: Verdict | None, label: str | None) -> str:
    """The verdict in words, and whether it is right for a video that shows `label`; None: none of the known actions."""
    said = "Nothing was seen: the video is too short." if found is None else str(found)
    if found is None:
        return said
    if label is None:
        return f"{said} This clip shows none of the known actions: every prediction is wrong, however sure it looks."
    if found.label != label:
        return f"{said} That is wrong: this clip shows {label}."
    return f"{said} That is right." if found.sure else f"{said} It is right nevertheless."
