"""The command line `i3d-live`. Each verb is a function in `realtime.commands`; here they are listed and their errors
shown.

Exit codes: 0 done, 1 the data or the machine did not allow it, 2 the call was wrong, 130 Ctrl-C.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence

import typer
from typer.exceptions import TyperException

from realtime.commands import (
    bundle,
    classify,
    demo,
    doctor,
    engine,
    evaluate,
    features,
    fleet,
    fleet_page,
    flow,
    run,
    site,
    teach,
    train,
    view,
    weights,
)
from realtime.commands.flags import flat
from realtime.commands.prepare import Prepare
from realtime.errors import I3DLiveError, one_line
from realtime.sources.address import masked, masked_within
from realtime.standard_streams import make_usable

app = typer.Typer(
    name="i3d-live",
    help="Watch a video or a camera and say, continuously, what is being done.",
    epilog="Exit codes: 0 done, 1 the data or the machine did not allow it, 2 the call was wrong, 130 Ctrl-C.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _add(
    command: Callable[..., None],
    example: str,
    short_help: str | None = None,
    name: str | None = None,
    to: typer.Typer = app,
) -> None:
    to.command(name, short_help=short_help, epilog=f"Example:  i3d-live {example}")(flat(command))


_add(
    run.run,
    "run video.mp4 --log log.jsonl --annotate out.mp4",
    "Watch sources: predictions, events, logs, pictures.",
)
_add(view.view, "view rtsp://camera/stream", "Watch sources or your webcam in the browser.")
_add(classify.classify, "classify clips/*.mp4 --json", "One prediction a file, as the paper tests.")
_add(
    features.features,
    "features videos --out features --preset thumos",
    "Features of many videos, for other programs.",
)
_add(demo.demo, "demo --out demo-out", "The first run: fetch, build, watch a real clip.")
_add(engine.build, "build --backend openvino --precision float32", "Compile an engine into the cache.")
_add(engine.check, "check --backend openvino --precision bfloat16", "Compare an engine with the reference.")
_add(
    bundle.bundle,
    "bundle --backend openvino --mode continual --out edge",
    "An engine and its program in a folder, for another machine.",
)
_add(engine.info, "info --json", "What this machine can run, and what is in the cache.")
_add(
    doctor.doctor,
    "doctor rtsp://camera/stream --mode preview",
    "What is missing here, and whether this machine keeps up.",
)
_add(flow.flow, "flow video.mp4 flow.mp4", "Show the motion in a video as colours.")
_add(teach.teach, "teach clips --name mine", "Learn your own actions from a folder of clips.")
_add(
    evaluate.evaluate,
    "evaluate kinetics/val.csv --split val --videos kinetics",
    "Accuracy on an annotated dataset, as in the paper's tables.",
)
_add(
    train.train,
    "train videos --stream rgb --base kinetics --out training --name mine",
    "Train one of the paper's networks on an annotated dataset.",
)
_sets = typer.Typer(help="Trained weights: what there is, fetch them, import your own.", no_args_is_help=True)
_add(weights.list_weights, "weights list", name="list", to=_sets)
_add(weights.fetch, "weights fetch flow", to=_sets)
_add(
    weights.import_weights,
    "weights import mine.pt --name mine --labels mine.txt",
    name="import",
    to=_sets,
)
app.add_typer(_sets, name="weights")
_site = typer.Typer(help="Cameras and settings in one file: write it, check it.", no_args_is_help=True)
_add(site.init, "site init door=rtsp://camera/stream webcam:0", to=_site)
_add(site.check, "site check site.toml", to=_site)
_add(site.print_schema, "site schema > site.schema.json", name="schema", to=_site)
app.add_typer(_site, name="site")

_fleet = typer.Typer(
    cls=fleet.StartsWithASite, help="Many cameras on many machines, on a Ray cluster.", no_args_is_help=True
)
_add(fleet.start, "fleet site.toml --log fleet.jsonl", to=_fleet)
_add(fleet.status, "fleet status --watch", to=_fleet)
_add(fleet_page.view, "fleet view --host 0.0.0.0", to=_fleet)
_add(fleet.add, "fleet add yard=rtsp://camera/stream --priority 5", to=_fleet)
_add(fleet.remove, "fleet remove yard", to=_fleet)
_add(fleet.move, "fleet move yard node2", to=_fleet)
_add(fleet.drain, "fleet drain node2", to=_fleet)
_add(fleet.stop, "fleet stop", to=_fleet)
app.add_typer(_fleet, name="fleet")


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


def main(arguments: Sequence[str] | None = None, prepare: Prepare | None = None) -> None:
    """Run the command line. Every error is one line on stderr.

    `arguments`: by default those of the process. `prepare`: how commands get models and engines, where a test replaces
    it.
    """
    make_usable()
    interrupted = remember_ctrl_c()
    try:
        code = app(arguments, prog_name="i3d-live", standalone_mode=False, obj=prepare)
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
        # Python flushes stdout once more at exit, and nothing reads it any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _fail("stdout was closed by its reader; stopped", 1)
    except (OSError, UnicodeError) as error:
        code = _fail(_of_the_system(error), 1)
    sys.exit(code if isinstance(code, int) else 0)


def remember_ctrl_c() -> list[int]:
    """Returns a list to which each Ctrl-C adds its signal, because PyAV swallows the KeyboardInterrupt that still
    follows while it opens a source."""
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


def _of_the_system(error: OSError | UnicodeError) -> str:
    """What the system or an encoding refused, where nobody expected it."""
    if isinstance(error, UnicodeError):
        return f"a text that cannot be read or written here: {error}; use UTF-8 for names and files"
    what = "" if error.filename is None else f"{masked(os.fsdecode(error.filename))}: "
    return f"{what}{error.strerror or error}; check the path, its permissions and the disk"


def _fail(message: str, code: int) -> int:
    print(f"i3d-live: {masked_within(one_line(message))}", file=sys.stderr)
    return code
