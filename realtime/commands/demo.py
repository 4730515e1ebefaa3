"""`i3d-live demo`: the first run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from engines.weights.best_set import choose_set
from engines.weights.connection import Network
from engines.weights.demo_clips import KNOWN_CLIPS, KnownClip, choose_clip
from engines.weights.public_sets import PUBLIC, PublicSets
from realtime.commands.options import ModelOptions
from realtime.commands.outputs import LogOptions, OutputOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.progress import fetching
from realtime.commands.run import run
from realtime.commands.verdict import judged, verdict
from realtime.outputs.log import Line

NEXT = """
In {out}: predictions.jsonl, annotated.mp4, timeline.png.

Try next:
  {program} run VIDEO.mp4 --annotate out.mp4      a file of your own
  {program} run webcam:0                          your camera
  {program} run rtsp://user:password@camera/stream    a network camera
"""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it makes.")] = Path("demo-out"),
) -> None:
    """Fetch weights and a real clip, build the engine, and run it over the clip as a stream."""
    show(out)


def show(
    out: Path,
    public: PublicSets = PUBLIC,
    clips: Sequence[KnownClip] = KNOWN_CLIPS,
    prepare: Prepare = PREPARE,
) -> None:
    """`public`, `clips`: public weights and clips, in order of preference."""
    from realtime.errors import OutputError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {out}: {error.strerror}; name another with --out"
        ) from error
    network = Network()
    with fetching() as progress:
        weights = choose_set(again=True, progress=progress, network=network, public=public)
        clip = choose_clip(progress, network, clips, again=True)
    print(f"{weights}\n{clip.why}", flush=True)
    log = out / "predictions.jsonl"
    run(
        [str(clip.path)],
        LogOptions(log),
        OutputOptions(annotate=out / "annotated.mp4", timeline=out / "timeline.png", readable=True),
        ModelOptions(weights.name),
        prepare=prepare,
    )
    print(f"\n{judged(verdict(last_run(log)), clip.label)}")
    program = "i3d-live" if _on_path() else ".venv/bin/i3d-live"
    print(NEXT.format(out=out, program=program).rstrip())


def last_run(log: Path) -> list[Line]:
    """The lines from the last session on: earlier runs are in the same log."""
    texts = log.read_text(encoding="utf-8").splitlines()
    begins = max(place for place, text in enumerate(texts) if text.startswith('{"kind": "session"'))
    return [json.loads(text) for text in texts[begins:]]


def _on_path() -> bool:
    import shutil

    return shutil.which("i3d-live") is not None
