"""`i3d-live doctor`: what is missing on this machine, and whether it keeps up."""

import json
import sys
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from engines.errors import EngineError
from engines.load import Engines
from realtime.clock import StageName, Stopwatch
from realtime.commands.flags import Only
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.progress import waiting
from realtime.commands.sources import SourceOptions
from realtime.doctor.missing import Finding, findings
from realtime.doctor.trial import Loads, advice, measure, percent
from realtime.errors import I3DLiveError
from realtime.recognizer import Recognizer


def doctor(
    source: Annotated[
        str | None, typer.Argument(help="As for run; without one the demo clip is tried.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=2, help="How long to try it.")] = 30.0,
    model: ModelOptions = ModelOptions(),
    look: Annotated[RecognizerOptions, Only(("stride", "region"))] = RecognizerOptions(),
    how: Annotated[SourceOptions, Only(("fps", "rtsp_transport"))] = SourceOptions(),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Say what is missing here, with the command that fixes it; then try a source and say whether this machine keeps
    up.

    Exit code 1 if nothing can be run, or if it does not keep up.
    """
    look.check()
    found = list(findings())
    if not as_json:
        print_findings(found)
    if not any(each.there for each in found if each.area == "backend"):
        raise EngineError("no backend can run here; install one of those above")
    name, mode = source or "the demo clip", model.engine.mode
    opener = partial(how.opener(), source or prepare.demo_clip())
    engines = prepare.engines(model, concurrent=True)

    def make_recognizer(stopwatch: Stopwatch) -> Recognizer:
        return look.recognizer(engines, stopwatch)

    with opener() as video:
        name = video.name if source else name
    with waiting(f"Trying {name} for {seconds:.0f} s"):
        loads = measure(opener, make_recognizer, seconds)
    hints = list(advice(loads, engines, make_recognizer(Stopwatch()), other_precisions(engines)))
    if as_json:
        print(json.dumps(as_object(found, name, engines, mode, loads, hints), indent=2))
    else:
        print_trial(name, engines, mode, loads, hints)
    if not loads.keeps_up:
        raise typer.Exit(1)


def other_precisions(engines: Engines) -> tuple[str, ...]:
    """The precisions that the backend in use can run here."""
    from engines.backends.registry import backend_module

    try:
        return backend_module(next(iter(engines.by_stream.values())).backend).precisions()
    except I3DLiveError:
        return ()


def print_findings(found: list[Finding]) -> None:
    """One line for each; below it what to do if something is missing."""
    for each in found:
        mark = "ok     " if each.there else "missing"
        print(f"{mark} {each.area:<8} {each.what:<24} {each.says}")
        if each.mend:
            print(f"{'':<17}{'to get it:' if not each.there else 'to get the rest:'} {each.mend}")
    sys.stdout.flush()


def print_trial(name: str, engines: Engines, mode: str, loads: Loads, hints: list[str]) -> None:
    """What each stage took, and what follows from that."""
    print(f"\n{name}, {loads.media_s:.0f} s of it in {mode} mode; {engines.reason}")
    print("share of real time that it takes:")
    for stage, share in {StageName.DECODE: loads.decode, **loads.stages}.items():
        beside = "   (in a separate thread)" if stage == StageName.DECODE else ""
        print(f"  {stage:<14} {percent(share):>7}{beside}")
    print(f"  {'all but decode':<14} {percent(loads.recogniser):>7}")
    if loads.keeps_up:
        print("This machine keeps up.")
    else:
        print(
            f"This machine does not keep up: it would have to leave out {percent(loads.would_drop)} of the frames."
        )
    if loads.dropped:
        print(f"In this trial {loads.dropped} of {loads.decoded} frames came too late.")
    for hint in hints:
        print(f"  change: {hint}")


def as_object(
    found: list[Finding], name: str, engines: Engines, mode: str, loads: Loads, hints: list[str]
) -> dict[str, Any]:
    """Everything, for programs."""
    shares = asdict(loads) | {
        "recogniser": loads.recogniser,
        "keeps_up": loads.keeps_up,
        "would_drop": loads.would_drop,
    }
    return {
        "findings": [asdict(each) for each in found],
        "trial": {"source": name, "mode": mode, "engine": engines.reason} | shares,
        "change": hints,
    }
