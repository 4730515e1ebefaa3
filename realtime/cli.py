"""The command line `i3d-live`. Each verb is a function in `realtime.commands`; here they are listed and their errors
shown.

Exit codes: 0 done, 1 the data or the machine did not allow it, 2 the call was wrong, 130 Ctrl-C.
"""

import os
import signal
import sys

import typer
from typer.exceptions import TyperException

from realtime.commands import (
    bundle,
    classify,
    demo,
    doctor,
    engine,
    evaluate,
    flow,
    run,
    teach,
    train,
    view,
    weights,
)
from realtime.errors import I3DLiveError

app = typer.Typer(
    name="i3d-live",
    help="Watch a video or a camera and say, continuously, what is being done.",
    epilog="Exit codes: 0 done, 1 the data or the machine did not allow it, 2 the call was wrong, 130 Ctrl-C.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command(
    short_help="Watch sources: answers, events, logs, pictures.",
    epilog="Example:  i3d-live run video.mp4 --log log.jsonl --annotate out.mp4",
)(run.run)
app.command(
    short_help="Watch sources or your webcam in the browser.",
    epilog="Example:  i3d-live view rtsp://camera/stream",
)(view.view)
app.command(
    short_help="One answer a file, as the paper tests.",
    epilog="Example:  i3d-live classify clips/*.mp4 --json",
)(classify.classify)
app.command(
    short_help="The first run: fetch, build, watch a real clip.",
    epilog="Example:  i3d-live demo --out demo-out",
)(demo.demo)
app.command(
    short_help="Compile an engine into the cache.",
    epilog="Example:  i3d-live build --backend openvino --precision float32",
)(engine.build)
app.command(
    short_help="Hold an engine against the reference.",
    epilog="Example:  i3d-live check --backend openvino --precision bfloat16",
)(engine.check)
app.command(
    short_help="An engine and its program in a folder, for another machine.",
    epilog="Example:  i3d-live bundle --backend openvino --mode continual --out edge",
)(bundle.bundle)
app.command(
    short_help="What this machine can run, and what is in the cache.", epilog="Example:  i3d-live info --json"
)(engine.info)
app.command(
    short_help="What is missing here, and whether this machine keeps up.",
    epilog="Example:  i3d-live doctor rtsp://camera/stream --mode preview",
)(doctor.doctor)
app.command(
    short_help="Show the motion in a video as colours.", epilog="Example:  i3d-live flow video.mp4 flow.mp4"
)(flow.flow)
app.command(
    short_help="Learn your own actions from a folder of clips.",
    epilog="Example:  i3d-live teach clips --name mine",
)(teach.teach)
app.command(
    short_help="Accuracy on an annotated dataset, as in the paper's tables.",
    epilog="Example:  i3d-live evaluate kinetics/val.csv --split val --videos kinetics",
)(evaluate.evaluate)
app.command(
    short_help="Train one of the paper's networks on an annotated dataset.",
    epilog="Example:  i3d-live train videos --stream rgb --base kinetics --out training --name mine",
)(train.train)
app.add_typer(weights.app, name="weights")


def version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version as version_of

        print(f"i3d-live {version_of('i3d-live')}")
        raise typer.Exit()


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Watch a video or a camera and say, continuously, what is being done."""


def main() -> None:
    """Run the command line. Every error is one line on stderr."""
    interrupted = remember_ctrl_c()
    try:
        code = app(prog_name="i3d-live", standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # what Typer makes of Ctrl-C
            code = _stopped()
    except I3DLiveError as error:
        code = _stopped() if interrupted else _fail(str(error), error.exit_code)
    except TyperException as error:
        code = _fail(_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _stopped()
    except BrokenPipeError:
        # Python flushes stdout once more at exit; there is nobody left to take it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _fail("stdout was closed by its reader; stopped", 1)
    sys.exit(code if isinstance(code, int) else 0)


def remember_ctrl_c() -> list[int]:
    """Fills with a signal at Ctrl-C, which raises KeyboardInterrupt as ever: PyAV swallows that while it opens a
    source."""
    seen: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    return seen


def _stopped() -> int:
    return _fail("stopped; what was written so far is complete", 130)


def _usage(error: TyperException) -> str:
    """Typer's message on one line, with the help to ask for."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "i3d-live"
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message} (see {command} --help)"


def _fail(message: str, code: int) -> int:
    print(f"i3d-live: {message}", file=sys.stderr)
    return code
