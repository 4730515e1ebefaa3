"""`i3d-live demo`: the first run."""

from pathlib import Path
from typing import Annotated

import typer

from realtime.commands.run import run
from realtime.commands.weights import fetching

NEXT = """
In {out}: predictions.jsonl, annotated.mp4, timeline.png.
Nobody does one of the 400 known actions in this clip: the answers change, and most of them are rightly unsure.

Try next:
  {program} run VIDEO.mp4 --annotate out.mp4      a file of your own
  {program} run webcam:0                          your camera
  {program} run rtsp://user:password@camera/stream    a network camera
"""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it makes.")] = Path("demo-out"),
) -> None:
    """Fetch weights and a real clip, build the engine, and run it over the clip as a stream."""
    from engines.weights import demo_clip
    from realtime.errors import OutputError

    with fetching() as progress:
        clip = demo_clip(progress)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {out}: {error.strerror}; name another with --out"
        ) from error
    run(
        [str(clip)],
        log=out / "predictions.jsonl",
        annotate=out / "annotated.mp4",
        timeline=out / "timeline.png",
        readable=True,
    )
    program = "i3d-live" if _on_path() else ".venv/bin/i3d-live"
    print(NEXT.format(out=out, program=program).rstrip())


def _on_path() -> bool:
    import shutil

    return shutil.which("i3d-live") is not None
