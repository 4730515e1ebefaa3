"""The supervisor as a Ray actor, and the watchers that it keeps on all nodes."""

import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from engines.weights.store import find_model
from realtime.cluster.connect import alive_nodes, not_nice, this_code, without_code
from realtime.cluster.model_copy import copy_of
from realtime.commands.fleet_posts import Post, named, post_on
from realtime.commands.fleet_watcher import Settings
from realtime.commands.outputs import log_writer
from realtime.errors import I3DLiveError, OutputError, UsageError, one_line
from realtime.fleet.journal import Journal, read_log
from realtime.fleet.orders import Orders, Report, Site
from realtime.fleet.supervisor import Supervisor

if TYPE_CHECKING:
    from realtime.commands.sessions import Plan
    from realtime.outputs.fleet_metrics import Snapshot

NAME = "supervisor"
BEAT_S = 0.25
KNOWN_WITHIN_S = 2.0
"""So long a change waits for a watcher that has heard of it: there may be none."""


def models_of(plan: "Plan") -> set[str]:
    """Names of all models that it needs, those of the cameras' zones included."""
    return {plan.model.model or "", *plan.zone_models()}


def settings_of(plan: "Plan") -> Settings:
    """With its models as they travel. Raises WeightsError for those that are not stored here."""
    models = {name: copy_of(find_model(name), plan.model.engine.streams) for name in models_of(plan)}
    return Settings(replace(plan, sources=()), models)


class SupervisorActor:
    """Named, detached, restarted by Ray where it ends; the cameras do not notice."""

    def __init__(self, cameras: Mapping[str, Any], plan: "Plan", priorities: Mapping[str, int], version: int):
        """`cameras`: by name, a `Named` each. `plan`: with the names of its models, and the same cameras."""
        not_nice()
        settings = settings_of(plan)
        self._lock = threading.Lock()
        self._stack = ExitStack()
        known, write = None, (lambda line: None)
        if plan.log.log is not None:
            known = read_log(plan.log.log)
            write = log_writer(self._stack, plan.log.log, plan.log)
        site = Site(version, dict(cameras), settings, dict(priorities))
        self._supervisor = Supervisor(site, Journal(write, known), time.monotonic, time.time)
        self._posts: dict[str, Post] = {}
        self._errors: dict[str, str] = {}
        """By node: why it has no watcher."""
        self._known = 0
        """Version of the newest site that a watcher has."""
        self._closing = threading.Event()
        self._failed: str | None = None
        self._unserved: str | None = None
        """Why there are no metrics."""
        if plan.outputs.metrics is not None:
            self._serve(plan.outputs.metrics)
        threading.Thread(target=self._run, name="i3d-live supervisor", daemon=True).start()

    def site(self) -> Site:
        """What is watched."""
        with self._lock:
            return self._supervisor.site

    def change(self, cameras: Mapping[str, Any], plan: "Plan", priorities: Mapping[str, int]) -> bool:
        """Other cameras, and other settings for all of them; without a model, the one that runs. False: the log or the
        outputs would be others, too, but stay as they are. Raises WeightsError for models that are not stored here."""
        running: Settings = self.site().settings
        before = running.plan
        model = replace(plan.model, model=plan.model.model or before.model.model)
        wanted = replace(plan, model=model, log=before.log, outputs=before.outputs)
        same = replace(wanted, sources=()) == before and models_of(wanted) <= running.models.keys()
        settings = running if same else settings_of(wanted)
        self._change(cameras=dict(cameras), priorities=dict(priorities), settings=settings)
        return plan.outputs == before.outputs and plan.log.log in (None, before.log.log)

    def add(self, name: str, camera: Any, priority: int) -> None:
        """One more. Raises UsageError for a name that is taken."""
        site = self.site()
        if name in site.cameras:
            raise UsageError(f"{name} is watched already; give another name")
        cameras = dict(site.cameras) | {name: camera}
        self._change(cameras=cameras, priorities=dict(site.priorities) | {name: priority})

    def remove(self, name: str) -> None:
        """Raises UsageError for a camera that is not there; so does `move`."""
        site = self.site()
        self._check_camera(name)
        self._change(cameras={each: camera for each, camera in site.cameras.items() if each != name})

    def move(self, name: str, node: str) -> None:
        """To a node. Placement may move it again, if that node is late or full."""
        self._check_camera(name)
        self._check_node(node)
        with self._lock:
            self._supervisor.move(name, node)

    def drain(self, node: str, wanted: bool) -> None:
        """Whether a node gives up its cameras, and takes none."""
        if wanted:
            self._check_node(node)
        draining = set(self.site().draining)
        self._change(draining=frozenset(draining | {node} if wanted else draining - {node}))

    def status(self) -> dict[str, Any]:
        """For people and pages: nodes and cameras, by name."""
        with self._lock:
            known, waiting = self._supervisor.nodes, self._supervisor.waiting
            site, counts = self._supervisor.site, self._supervisor.counts
            cameras = {name: self._camera(name) for name in site.cameras}
            nodes = {
                name: {
                    "cores": each.cores,
                    "ready": bool(each.report and each.report.ready),
                    "error": each.report.error if each.report else None,
                    "behind_s": round(each.behind_s, 2),
                    "used": round(self._supervisor.used_cores(name), 3),
                    "draining": name in site.draining,
                }
                for name, each in known.items()
            }
        for name, why in self._errors.items():
            nodes.setdefault(
                name, {"cores": 0, "ready": False, "error": why, "behind_s": 0, "used": 0, "draining": False}
            )
        return {
            "nodes": nodes,
            "cameras": cameras,
            "waiting": dict(waiting),
            "moves": counts.moves,
            "lost_nodes": counts.lost_nodes,
            "error": self._failed or self._unserved,
        }

    def thumbnail(self, name: str) -> bytes | None:
        """The newest picture of a camera, as JPEG; None if there is none."""
        import ray

        with self._lock:
            place = self._supervisor.places.get(name)
            post = self._posts.get(place.node) if place else None
        if post is None:
            return None
        try:
            found: bytes | None = ray.get(post.actor.thumbnail.remote(name), timeout=1.0)
        except ray.exceptions.RayError:
            return None
        return found

    def stop(self) -> None:
        """End everything: sessions first, so that their last lines are written."""
        self._change(cameras={})
        until_s = time.monotonic() + 10.0
        while time.monotonic() < until_s and any(
            each.report is None or each.report.cameras for each in self._supervisor.nodes.values()
        ):
            time.sleep(BEAT_S)
        self._closing.set()
        import ray

        for post in self._posts.values():
            ray.kill(post.actor)
        self._stack.close()

    def _change(self, **what: Any) -> None:
        """Returns once a watcher knows, from which another supervisor would learn it."""
        with self._lock:
            site = self._supervisor.site
            version = max(site.version + 1, round(time.time() * 1000))
            self._supervisor.change(replace(site, version=version, **what))
        until_s = time.monotonic() + KNOWN_WITHIN_S
        while self._known < version and time.monotonic() < until_s:
            time.sleep(BEAT_S / 4)

    def _check_camera(self, name: str) -> None:
        cameras = self.site().cameras
        if name not in cameras:
            raise UsageError(f"there is no camera {name}; there are {', '.join(sorted(cameras)) or 'none'}")

    def _check_node(self, name: str) -> None:
        nodes = self._supervisor.nodes
        if name not in nodes:
            raise UsageError(f"there is no node {name}; there are {', '.join(sorted(nodes)) or 'none'}")

    def _camera(self, name: str) -> dict[str, Any]:
        place, watched = self._supervisor.places.get(name), self._supervisor.watched(name)
        figures = watched.figures if watched else None
        fps = figures.frames / figures.wall_s if figures and figures.wall_s else 0.0
        return {
            "node": place.node if place else None,
            "why": self._supervisor.counts.why.get(name, ""),
            "priority": self._supervisor.site.priorities.get(name, 0),
            "fps": round(fps, 1),
            "cores": round(watched.cores, 3) if watched else 0.0,
            "lag_s": round(figures.lag_s, 2) if figures else 0.0,
            "level": figures.level if figures else None,
            "label": watched.label if watched else None,
            "event": watched.event if watched else None,
            "lost": figures.lost if figures else None,
            "error": watched.error if watched else None,
            "figures": None if figures is None else asdict(figures),
        }

    def _serve(self, where: str) -> None:
        from realtime.outputs.fleet_metrics import FleetMetrics

        try:
            self._stack.callback(FleetMetrics(where, self._snapshot).close)
        except OutputError as error:  # the cameras are more important
            self._unserved = str(error)

    def _snapshot(self) -> "Snapshot":
        from realtime.outputs.fleet_metrics import Snapshot

        with self._lock:
            places, waiting = self._supervisor.places, len(self._supervisor.waiting)
            watched = {name: self._supervisor.watched(name) for name in places}
            cameras = {
                name: (places[name].node, each.figures)
                for name, each in watched.items()
                if each is not None and each.figures is not None
            }
            nodes = {
                name: (each.cores, self._supervisor.used_cores(name), each.behind_s)
                for name, each in self._supervisor.nodes.items()
            }
            return Snapshot(cameras, nodes, waiting, self._supervisor.counts.moves)

    def _run(self) -> None:
        while not self._closing.wait(BEAT_S):
            try:
                self._beat()
            except I3DLiveError as error:  # the log cannot be written: said once, tried again
                self._failed = one_line(str(error))
            else:
                self._failed = None

    def _beat(self) -> None:
        there = self._keep_posts()
        reports = self._reports()
        with self._lock:
            orders = self._supervisor.beat(
                {name: self._posts[name].cores for name in there if name in self._posts}, reports
            )
        for name, each in orders.items():
            self._tell(name, each)

    def _keep_posts(self) -> list[str]:
        """A watcher on every node with cores; the names of nodes whose watcher was there before."""
        alive = {name: node for name, node in named(alive_nodes()).items() if node["Resources"].get("CPU")}
        for name, post in tuple(self._posts.items()):
            if name not in alive or alive[name]["NodeID"] != post.id:
                del self._posts[name]
        before = list(self._posts)
        for name, node in alive.items():
            if name not in self._posts and name not in self._errors:
                self._posts[name] = post_on(node)
        return before

    def _reports(self) -> dict[str, Report]:
        import ray

        asked = {post.asked: name for name, post in self._posts.items() if post.asked is not None}
        found = {}
        done = ray.wait(list(asked), num_returns=len(asked), timeout=0)[0] if asked else []
        for reference in done:
            name = asked[reference]
            try:
                found[name] = ray.get(reference)
                self._posts[name].asked = None
                self._known = max(self._known, self._posts[name].told)
            except ray.exceptions.RayError as error:
                if (missing := without_code(error, this_code())) is not None:
                    self._errors[name] = missing
                ray.kill(self._posts[name].actor)
                del self._posts[name]
        return found

    def _tell(self, name: str, orders: Orders) -> None:
        post = self._posts.get(name)
        if post is not None and post.asked is None:
            post.told = orders.site.version
            post.asked = post.actor.tell.remote(orders)
