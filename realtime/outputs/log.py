"""The log: JSON lines, described by `log.schema.json` beside this file.

session | prediction ... | event ... | gap ... | idle ... | level ... | connection ... | summary. Each line is flushed
when it is written, so that whatever ends the program, all complete lines are valid.
"""

import json
import os
import platform
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from realtime.errors import OutputError
from realtime.outputs.why import why
from realtime.recognizer import Output, Recognizer
from realtime.sources.reconnect import Connection
from realtime.stages.events import EventOptions
from realtime.types import Action, Box, Event, Figures, Gap, Idle, Prediction

if TYPE_CHECKING:
    from engines.load import Engines
    from realtime.reader_threads import Source

Line = dict[str, Any]
VERSIONS = ("i3d-live", "av", "numpy", "opencv-contrib-python-headless", "openvino")
SCHEMA = Path(__file__).with_name("log.schema.json")


def session_line(video: "Source", engines: "Engines", recognizer: Recognizer) -> Line:
    """The first line of a log."""
    engine = next(iter(engines.by_stream.values()))
    return {
        "kind": "session",
        "source": video.name,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "model": engine.weights.name,
        "engine": {"backend": engine.backend, "precision": engine.precision, "device": engine.device},
        "streams": list(recognizer.streams),
        "note": engines.reason,
        "mode": recognizer.mode,
        "stride_ticks": recognizer.stride_ticks,
        "smooth": recognizer.smooth,
        **terms_line(recognizer.watch, recognizer.event_options),
        "zones": {name: terms_line(t.watch, t.events) for name, t in recognizer.terms_of_zones().items()},
        "fps": float(engine.spec.fps),
        "versions": {"python": platform.python_version()} | versions(),
    }


def output_line(item: Output, latency_ms: float | None = None) -> Line:
    """One prediction, event, gap or rest as a line. `latency_ms`: from the frame that decided it until now."""
    if isinstance(item, Event):
        return {
            "kind": "event",
            "label": item.label,
            "start_s": round(item.start_s, 3),
            "end_s": round(item.end_s, 3),
            "probability": round(item.probability, 4),
            "where": _rounded(item.where),
            **({} if item.id is None else {"id": item.id}),
            **({} if item.zone is None else {"zone": item.zone}),
        }
    if isinstance(item, Gap):
        return {
            "kind": "gap",
            "start_s": round(float(item.start), 3),
            "end_s": round(float(item.end), 3),
            "cause": item.cause,
            **({} if item.zone is None else {"zone": item.zone}),
        }
    if isinstance(item, Idle):
        return {
            "kind": "idle",
            "resting": item.resting,
            "since_s": round(float(item.since), 3),
            "at_s": round(float(item.at), 3),
        }
    return _prediction_line(item, latency_ms)


def level_line(name: str, steps_down: int, lag_s: float, media_s: float) -> Line:
    """The recogniser has changed its level; see `realtime.overload`."""
    return {
        "kind": "level",
        "at_s": round(media_s, 3),
        "level": name,
        "steps_down": steps_down,
        "lag_s": round(max(lag_s, 0.0), 3),
    }


def connection_line(connection: Connection, media_s: float) -> Line:
    """A live source was lost, could not be reopened, or is back."""
    return {
        "kind": "connection",
        "at_s": round(media_s, 3),
        "up": connection.up,
        "reconnects": connection.reconnects,
        "reason": connection.reason,
    }


def summary_line(figures: Figures) -> Line:
    """The last line: what became of all frames, and the time it took."""
    return {
        "kind": "summary",
        "frames": {
            "decoded": figures.frames,
            "used": figures.used,
            "dropped": {cause: count for cause, count in figures.dropped.items() if count},
            "corrupt_packets": figures.corrupt_packets,
        },
        **({"left_out": dict(figures.left_out)} if figures.left_out else {}),
        "ticks": figures.ticks,
        "repeated_ticks": figures.repeated_ticks,
        **({"idle_ticks": figures.idle_ticks} if figures.idle_ticks else {}),
        "steps": figures.steps,
        "predictions": figures.predictions,
        "events": figures.events,
        "gaps": figures.gaps,
        "reconnects": figures.reconnects,
        "level_steps": dict(figures.level_steps),
        "media_s": round(figures.media_s, 3),
        "wall_s": round(figures.wall_s, 3),
        "stage_s": {stage: round(seconds, 4) for stage, seconds in figures.stage_s.items()},
        **({"flow": figures.flow} if figures.flow is not None else {}),
        "ended": figures.ended,
    }


def terms_line(watch: Sequence[str] | None, events: EventOptions) -> Line:
    """Which labels are chosen from, and when events begin and end; of a source or a zone."""
    return {"watch": None if watch is None else list(watch), "events": asdict(events)}


def _prediction_line(prediction: Prediction, latency_ms: float | None) -> Line:
    return {
        "kind": "prediction",
        "tick": prediction.stop_tick,
        "start_s": round(prediction.start_s, 3),
        "end_s": round(prediction.end_s, 3),
        "label": prediction.label,
        "probability": round(prediction.probability, 4),
        "top": [{"label": label, "probability": round(p, 4)} for label, p in prediction.top],
        "streams": list(prediction.streams),
        "mode": prediction.mode,
        "settled": prediction.settled,
        "dropped_frames": prediction.dropped_frames,
        "latency_ms": None if latency_ms is None else round(latency_ms, 1),
        "where": _rounded(prediction.where),
        **({} if prediction.heat is None else {"heat": np.round(prediction.heat, 2).tolist()}),
        **({} if prediction.actions is None else {"actions": [_action(each) for each in prediction.actions]}),
        **({} if prediction.zone is None else {"zone": prediction.zone}),
    }


def _action(action: Action) -> Line:
    return {
        "id": action.id,
        "label": action.label,
        "probability": round(action.probability, 4),
        "where": _rounded(action.where),
    }


def _rounded(where: Box | None) -> list[int] | None:
    """A box in whole px: its edges are known no better."""
    if where is None:
        return None
    x, y, width, height = where
    left, top = round(x), round(y)
    return [left, top, round(x + width) - left, round(y + height) - top]


class Log:
    """Writes lines to a file, behind what is there, or to stdout for "-". A context manager."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self.written_bytes = 0
        try:
            self._before = "" if self._path == "-" else _last_character(self._path)
            self._file: TextIO = sys.stdout if self._path == "-" else open(self._path, "a", encoding="utf-8")  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def write(self, line: Line) -> None:
        """Add one line. Raises OutputError if it cannot be written; earlier lines stay valid."""
        text = as_json(line, self._file.encoding or "utf-8") + "\n"
        if self._before:
            # A line that a killed program left unfinished spoils only itself.
            text = ("" if self._before == "\n" else "\n") + as_json(line | {"continued": True}) + "\n"
            self._before = ""
        try:
            self._file.write(text)
            self._file.flush()
            self.written_bytes += len(text.encode())
        except BrokenPipeError as error:
            # Python flushes its buffer for stdout at exit, and nothing is left to read it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())
            raise OutputError("stdout was closed by its reader; stopped") from error
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._file is not sys.stdout:
            try:
                self._file.close()
            except OSError as error:
                raise self._failed(error) from error

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _failed(self, error: OSError | ValueError) -> OutputError:
        return OutputError(
            f"cannot write the log {self._path}: {why(error, self._path)}; name a path that can be written, or - for stdout"
        )


def as_json(value: Any, encoding: str = "utf-8") -> str:
    """On one line, in letters as they are; escaped where the encoding has none for them, as for undecodable names."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def _last_character(path: str) -> str:
    """Of a file that is there; "" for an empty one, for a pipe or a device, and for what cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for its other end
            return ""
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1).decode("latin-1")
    except OSError:
        return ""


def versions() -> dict[str, str]:
    """Versions of the packages that shape a prediction; a bundle runs with fewer of them."""
    found = {}
    for name in VERSIONS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
