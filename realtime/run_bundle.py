"""The program inside a bundle: `python run.py SOURCE`. Needs numpy, av, OpenCV and the runtime of the bundle's
engine."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from engines.bundle import check_bundle, load_bundle
from engines.load import Engines
from realtime.errors import I3DLiveError
from realtime.outputs.apart import check_apart
from realtime.outputs.log import Line, Log, session_line

EXIT_CODES = (
    "Exit codes: 0 done, 1 the data or the machine did not allow it, 2 the call was wrong, 130 Ctrl-C."
)


def main(folder: Path, arguments: Sequence[str]) -> int:
    """Run the bundle in `folder`; the exit code. Every error is one line on stderr."""
    given = _parser().parse_args(arguments)
    try:
        if given.check:
            _check(folder)
        else:
            watch(folder, given.source, given.log)
    except I3DLiveError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("run.py: stopped; what was written so far is complete", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Watch a video or a camera and say, continuously, what is being done.",
        epilog=EXIT_CODES,
        fromfile_prefix_chars="@",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "source", nargs="?", help="file, folder of images, webcam:0, rtsp://, http(s)://, - for stdin"
    )
    what.add_argument(
        "--check",
        action="store_true",
        help="compare this machine's predictions with those of the one that made the bundle",
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="write the JSON lines there instead of to stdout"
    )
    return parser


def _load(folder: Path) -> Engines:
    engines = load_bundle(folder, told)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return engines


def told(what: str, done: int, total: int | None) -> None:
    """Show the progress of what is done once on a machine: a line that changes, or in a log one for each kind."""
    if sys.stderr.isatty():
        print(f"\rrun.py: {what}, once: {done} of {total}\033[K", end="", file=sys.stderr, flush=True)
    elif not done:
        print(f"run.py: {what}, once", file=sys.stderr, flush=True)


def _check(folder: Path) -> None:
    engines = _load(folder)
    print(f"run.py: {engines.reason}", file=sys.stderr)
    print(json.dumps({"largest_difference": check_bundle(folder, engines)}))


def watch(folder: Path, source: str, log: Path | None) -> None:
    """Run one source to its end, writing JSON lines. A live one is opened again when it is lost."""
    from realtime.recognizer import Recognizer
    from realtime.session import Session
    from realtime.signals import stop_on_signals
    from realtime.sources.reconnect import keep_open
    from realtime.turns import run_sessions
    from realtime.worker_threads import submit

    check_apart([source], {"--log": log})
    with ExitStack() as stack:
        video = keep_open(source)
        stack.callback(video.close)
        write: Callable[[Line], None] = stack.enter_context(Log(log or "-")).write
        engines = _load(folder)
        recognizer = Recognizer(engines.by_stream, submit=submit)
        session = Session(video, recognizer, write=write)
        session.write(session_line(video, engines, recognizer))
        with stop_on_signals([session.mailbox.stop]) as came:
            errors = run_sessions([session])
    for error in errors:
        raise error
    if signal.SIGINT in came:
        raise KeyboardInterrupt
