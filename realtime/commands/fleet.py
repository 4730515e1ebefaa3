"""`i3d-live fleet`: many cameras on many machines."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from realtime.commands.flags import Given
from realtime.commands.fleet_tables import follow, show
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import LogOptions, OutputOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.sessions import Plan
from realtime.commands.site_options import read_site
from realtime.commands.sources import Named, parse_sources
from realtime.errors import EngineError, UsageError

PLACED_WITHIN_S = 180.0
"""The first time, engines are built."""
LOOK_S = 0.5
RETRIED_WITHIN_S = 3.0
"""A machine that could not watch tries again with other settings within this time."""
FOLLOWS = "it follows the file as it is now"
FOLLOWS_BUT = f"{FOLLOWS}, but its log and what [output] says stay as they are until i3d-live fleet stop"

Address = Annotated[
    str, typer.Option("--cluster", metavar="ADDRESS", help="The Ray cluster: auto, or HOST:PORT of its head.")
]


class StartsWithASite(TyperGroup):
    """`fleet site.toml` is `fleet start site.toml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].endswith(".toml"):
            args = ["start", *args]
        return super().parse_args(ctx, args)


def start(
    file: Annotated[Path, typer.Argument(metavar="SITE", help="The site file.")],
    cluster: Address = "auto",
    log: LogOptions = LogOptions(),
    *,
    prepare: Prepare = PREPARE,
    given: Given = Given(),
) -> None:
    """Watch the cameras of a site file on all machines of a Ray cluster, until i3d-live fleet stop.

    All lines come into one log, on the machine where this was typed; [output] of the site file says where each machine
    sends its own. A second time: the fleet follows the file as it is now, all but its outputs.
    """
    said = read_site(file, given)
    plan = Plan(
        said.cameras,
        given.over(log, said.said),
        given.over(OutputOptions(), said.said),
        given.over(ModelOptions(), said.said),
        given.over(RecognizerOptions(), said.said),
    )
    plan.check()
    check_fleet(plan)
    cameras = {named.name or named.text: named for named in plan.sources}
    priorities = {name: named.priority for name, named in cameras.items()}
    with in_cluster(cluster):
        actor = supervisor()
        if actor is None:
            chosen = prepare.model(plan.model.model, plan.model.engine.streams).name
            ready = replace(plan, model=replace(plan.model, model=chosen))
            for name in ready.zone_models():
                prepare.model(name, plan.model.engine.streams)
            actor = new_supervisor(cameras, absolute(ready), priorities)
        else:
            whole = call(actor.change.remote(cameras, absolute(plan), priorities))
            print(f"i3d-live: a fleet runs already; {FOLLOWS if whole else FOLLOWS_BUT}", file=sys.stderr)
        found = wait_for_all(actor)
        show(found)
        check_watched(found)
    print("i3d-live: more: i3d-live fleet status; to end it: i3d-live fleet stop", file=sys.stderr)


def status(
    cluster: Address = "auto",
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Show which machine watches which camera, how loaded each is, and what waits."""
    with in_cluster(cluster):
        actor = required()
        if as_json:
            print(json.dumps(call(actor.status.remote())))
        elif not watch:
            show(call(actor.status.remote()))
        else:
            follow(lambda: call(actor.status.remote()))


def add(
    camera: Annotated[str, typer.Argument(metavar="NAME=SOURCE", help="As for run, with a name.")],
    cluster: Address = "auto",
    priority: Annotated[int, typer.Option(help="The higher, the more important.")] = 0,
) -> None:
    """Watch one more camera. It is not written to the site file."""
    (named,) = parse_sources([camera])
    if named.name is None:
        raise UsageError("give the camera a name, as in door=rtsp://camera/stream")
    with in_cluster(cluster):
        call(required().add.remote(named.name, named, priority))


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The camera.")], cluster: Address = "auto"
) -> None:
    """Watch a camera no more."""
    with in_cluster(cluster):
        call(required().remove.remote(name))


def move(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The camera.")],
    node: Annotated[str, typer.Argument(metavar="NODE", help="The machine, as fleet status names it.")],
    cluster: Address = "auto",
) -> None:
    """Let another machine watch a camera."""
    with in_cluster(cluster):
        call(required().move.remote(name, node))


def drain(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The machine, as fleet status names it.")],
    cluster: Address = "auto",
    undo: Annotated[bool, typer.Option("--undo", help="It may have cameras again.")] = False,
) -> None:
    """Move all cameras away from a machine, and give it none, so that it can be switched off."""
    with in_cluster(cluster):
        call(required().drain.remote(node, not undo))


def stop(cluster: Address = "auto") -> None:
    """End the fleet: all sessions, with their last lines written."""
    with in_cluster(cluster):
        import ray

        actor = required()
        call(actor.stop.remote())
        ray.kill(actor)


@contextmanager
def in_cluster(address: str) -> Iterator[None]:
    """Raises UsageError for a cluster that would end with the command."""
    from realtime.cluster.connect import connected

    if address == "local":
        raise UsageError("--cluster local ends with this command; start a cluster with: ray start --head")
    with connected(address):
        yield


def check_fleet(plan: Plan) -> None:
    """Raises UsageError for what only a single machine can do."""
    if plan.outputs.annotate or plan.outputs.timeline:
        raise UsageError(
            "a fleet draws no annotate and no timeline: its cameras move; leave them out of the site file"
        )
    if str(plan.log.log) == "-":
        raise UsageError("the log of a fleet is a file: it goes on after this command; give --log FILE")
    for named in plan.sources:
        if not named.how.reconnect:
            raise UsageError(
                f"{named.name}: a fleet opens cameras again when they are lost; leave out reconnect"
            )


def check_watched(found: Mapping[str, Any]) -> None:
    """Raises EngineError where no machine of the fleet can watch anything, with what the first one says."""
    errors = {name: node["error"] for name, node in sorted(found["nodes"].items())}
    if errors and all(errors.values()):
        name, error = next(iter(errors.items()))
        raise EngineError(
            f"no machine can watch a camera; {name}: {error}. Mend that, then start again; or end this fleet: i3d-live "
            "fleet stop"
        )


def absolute(plan: Plan) -> Plan:
    """With the path of the log as it is for another process."""
    path = plan.log.log
    return plan if path is None else replace(plan, log=replace(plan.log, log=path.absolute()))


def supervisor() -> Any:
    """That of the fleet; None if there is none."""
    import ray

    from realtime.commands.fleet_posts import SPACE
    from realtime.commands.fleet_supervisor import NAME

    try:
        return ray.get_actor(NAME, SPACE)
    except ValueError:
        return None


def required() -> Any:
    """Raises EngineError if there is none."""
    actor = supervisor()
    if actor is None:
        raise EngineError("no fleet runs on this cluster; start one: i3d-live fleet site.toml")
    return actor


def new_supervisor(cameras: Mapping[str, Named], plan: Plan, priorities: Mapping[str, int]) -> Any:
    """On this machine, where the log and the models are; Ray starts it again where it ends."""
    import ray

    from realtime.cluster.connect import on_node
    from realtime.commands.fleet_posts import SPACE
    from realtime.commands.fleet_supervisor import NAME, SupervisorActor

    made: Any = ray.remote(SupervisorActor).options(
        name=NAME,
        namespace=SPACE,
        lifetime="detached",
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=3,
        max_concurrency=8,
        scheduling_strategy=on_node(ray.get_runtime_context().get_node_id()),
    )
    return made.remote(cameras, plan, priorities, round(time.time() * 1000))


def call(reference: Any) -> Any:
    """What the supervisor answers. Raises what it raised, EngineError if it is gone."""
    import ray

    from realtime.cluster.connect import answer_of

    try:
        return answer_of(reference, 60.0)
    except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
        raise EngineError("the supervisor of the fleet does not answer; see Ray's logs") from error


def wait_for_all(actor: Any) -> dict[str, Any]:
    """The status once every camera is watched or waits for room."""
    from realtime.commands.progress import waiting

    stuck_s = time.monotonic()
    until_s = stuck_s + PLACED_WITHIN_S
    with waiting("Waiting for the machines; the first time, their engines are built"):
        while True:
            found: dict[str, Any] = call(actor.status.remote())
            ready = any(node["ready"] for node in found["nodes"].values())
            if not found["nodes"] or not all(node["error"] for node in found["nodes"].values()):
                stuck_s = time.monotonic()
            stuck = time.monotonic() - stuck_s > RETRIED_WITHIN_S
            settled = ready and all(
                c["node"] or name in found["waiting"] for name, c in found["cameras"].items()
            )
            if stuck or settled or time.monotonic() > until_s:
                return found
            time.sleep(LOOK_S)
