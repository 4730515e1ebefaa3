"""Where the predictions of a run go, by the options that name them."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from realtime.errors import SourceError, UsageError
from realtime.outputs.apart import check_apart, check_not_deleted
from realtime.outputs.log import Line, Log
from realtime.outputs.queued import Calls, Limit, Queued
from realtime.outputs.rotating_log import RotatedLog, is_part
from realtime.site.secrets import secret_of
from realtime.sources.image_folder import image_files

if TYPE_CHECKING:
    from realtime.outputs.metrics import Metrics
    from realtime.outputs.mqtt import Mqtt
    from realtime.outputs.webhook import Webhook

Write = Callable[[Line], None]
MB = 1_000_000
ZONES_TOKEN, ZONES_TOKEN_FILE = "I3D_LIVE_ZONES_TOKEN", "I3D_LIVE_ZONES_TOKEN_FILE"
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class LogOptions:
    """The log, and when a new file of it begins."""

    log: Annotated[Path | None, typer.Option(help="Write JSON lines here too, behind what is there.")] = None
    log_mb: Annotated[int | None, typer.Option(min=1, help="Begin a new log file at this size,")] = None
    log_hours: Annotated[float | None, typer.Option(min=0.001, help="or after this many hours.")] = None
    log_keep: Annotated[int, typer.Option(min=0, help="Older log files to keep.")] = 10

    @property
    def in_parts(self) -> bool:
        return self.log_mb is not None or self.log_hours is not None


@dataclass(frozen=True)
class OutputOptions:
    """Outputs in addition to log lines."""

    annotate: Annotated[
        Path | None, typer.Option(help="Write the video with the predictions drawn over it.")
    ] = None
    timeline: Annotated[Path | None, typer.Option(help="Write a picture of the predictions over time.")] = (
        None
    )
    save_clips: Annotated[Path | None, typer.Option(help="Save each event as a video in this folder.")] = None
    save_snapshots: Annotated[
        Path | None, typer.Option(help="Save a picture of each event in this folder.")
    ] = None
    clips_mb: Annotated[
        int,
        typer.Option(min=1, help="Most that each of these may hold: the oldest go."),
    ] = 1000
    features: Annotated[Path | None, typer.Option(help="Write I3D's features into this folder.")] = None
    metrics: Annotated[
        str | None, typer.Option(metavar="[HOST:]PORT", help="Serve /metrics for Prometheus, and /health.")
    ] = None
    mqtt: Annotated[
        str | None, typer.Option(metavar="URL", help="Publish: mqtt://user:password@host/topic.")
    ] = None
    home_assistant: Annotated[
        bool, typer.Option("--home-assistant", help="Announce the sources to Home Assistant over --mqtt.")
    ] = False
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Send each event there: POST, as JSON.")
    ] = None
    readable: Annotated[bool, typer.Option("--readable", help="Readable lines even into a pipe.")] = False

    @property
    def keep_packets(self) -> bool:
        """Whether the newest packets of a source are wanted."""
        return self.save_clips is not None


def check_outputs(sources: Sequence[str], log: LogOptions, outputs: OutputOptions) -> None:
    """Before anything is opened. Raises UsageError where an output would destroy a source or another output."""
    files = [path for source in sources for path in files_of(source)]
    named: dict[str, Path | None] = {
        "--log": log.log,
        "--annotate": outputs.annotate,
        "--timeline": outputs.timeline,
        "--save-clips": outputs.save_clips,
        "--save-snapshots": outputs.save_snapshots,
        "--features": outputs.features,
    }
    check_apart(files, named)
    if log.in_parts and str(log.log) == "-":
        raise UsageError("--log - is stdout, which has no parts; leave out --log-mb and --log-hours")
    others: list[Path | str] = [*files, *(path for path in named.values() if path is not None)]
    for name, folder in (("--save-clips", outputs.save_clips), ("--save-snapshots", outputs.save_snapshots)):
        if folder is not None:
            from realtime.outputs.clip_folder import is_clip

            check_not_deleted(others, folder, is_clip, name)
    if log.log is not None and log.in_parts:
        part = partial(is_part, log.log)
        check_not_deleted(others, log.log.parent, part, "--log-keep")


def files_of(source: str) -> list[str]:
    """A source and, if it is a folder, the images in it."""
    if not os.path.isdir(source):
        return [source]
    try:
        return [source, *image_files(source, source)]
    except SourceError:  # opening it will say so
        return [source]


def check_announced(options: OutputOptions) -> None:
    """Raises UsageError for Home Assistant without a broker."""
    if options.home_assistant and options.mqtt is None:
        raise UsageError("--home-assistant announces sources over MQTT; give --mqtt URL too, with its broker")


def check_drawn(sources: int, options: OutputOptions) -> None:
    """Raises UsageError for pictures of several sources in one."""
    if sources > 1 and (options.annotate or options.timeline):
        raise UsageError("--annotate and --timeline draw one source; give one, or use --save-clips")


def log_writer(stack: ExitStack, path: Path, options: LogOptions) -> Write:
    """The log at `path`; in parts where a limit is given."""
    if not options.in_parts:
        return stack.enter_context(Log(path)).write
    longest = timedelta.max if options.log_hours is None else timedelta(hours=options.log_hours)
    largest_bytes = float("inf") if options.log_mb is None else options.log_mb * MB
    return stack.enter_context(
        RotatedLog(path, largest_bytes=largest_bytes, longest=longest, keep=options.log_keep)
    ).write


def mqtt_queue(stack: ExitStack, url: str, *, home_assistant: bool = False, wait: bool) -> Queued:
    """Publishes lines to a broker; reports on stderr at the end how many messages were lost. `wait`: as in `Queued`."""
    from realtime.outputs.mqtt import Mqtt

    mqtt = Mqtt(url, home_assistant=home_assistant)
    stack.callback(_tell_lost, mqtt)
    stack.enter_context(mqtt)
    if mqtt.waits_for is not None:
        print(f"i3d-live: {mqtt.waits_for}", file=sys.stderr)
    queue = Queued("--mqtt", lambda: Calls(mqtt.write), wait=wait, limits=LINES, source_of=source_of)
    stack.callback(queue.close)
    return queue


def metrics_server(stack: ExitStack, where: str, environment: Mapping[str, str] = os.environ) -> "Metrics":
    """Reports on stderr where it listens."""
    from realtime.outputs.metrics import Metrics, listen_at

    host, port = listen_at(where)
    token = zones_token(environment)
    metrics = stack.enter_context(Metrics(host, port, zones_token=token))
    shown = f"[{host}]" if ":" in host else host
    zones = "" if token is None else ", zones at /zones"
    print(f"metrics at http://{shown}:{metrics.port}/metrics, health at /health{zones}", file=sys.stderr)
    return metrics


def zones_token(environment: Mapping[str, str]) -> str | None:
    """What a request to change zones has to send, from the environment or a file that it names; None for none.

    Raises UsageError for one that is too short, and for a file that cannot be read.
    """
    token = environment.get(ZONES_TOKEN)
    if token is None and ZONES_TOKEN_FILE in environment:
        token = secret_of(Path(environment[ZONES_TOKEN_FILE]))
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UsageError(f"the token for zones has {len(token)} characters; take at least {SHORTEST_TOKEN}")
    return token


def together(writers: Sequence[Write]) -> Write:
    """Passes each line to all of them."""

    def write(line: Line) -> None:
        with ExitStack() as stack:
            for writer in reversed(writers):  # a stack begins with the last
                stack.callback(writer, line)

    return write


def source_of(line: Line) -> str:
    """Name of the source that a line is about; "" for the only one."""
    return str(line.get("name", ""))


def _may_be_left_out(line: Line) -> bool:
    return bool(line["kind"] == "prediction")


LINES = (Limit(_may_be_left_out, 1000),)


def _tell_lost(mqtt: "Mqtt") -> None:
    if mqtt.lost:
        print(f"i3d-live: {mqtt.lost} MQTT messages were lost while the broker was away", file=sys.stderr)


def webhook_writer(stack: ExitStack, url: str) -> Write:
    """Sends events to a server; reports on stderr at the end how many were left out."""
    from realtime.outputs.webhook import Webhook

    webhook = Webhook(url)
    stack.callback(_tell_left_out, webhook)
    return stack.enter_context(webhook).write


def _tell_left_out(webhook: "Webhook") -> None:
    if webhook.lost:
        print(f"i3d-live: {webhook.lost} events did not reach the webhook", file=sys.stderr)
