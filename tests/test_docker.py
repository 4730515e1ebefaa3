"""What can be checked about the containers without a container engine: they parse, their pins are the project's, and
every command that needs neither the base image nor the network runs."""

import http.server
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from realtime.commands.server import PASSWORD_VARIABLE, find_password
from realtime.errors import I3DLiveError, UsageError
from realtime.run_bundle import _parser
from realtime.view.access import is_local
from tests.conftest import ROOT
from tests.support.command_line import understood
from tests.support.dockerfile import Instruction, arguments, environment, filled, parse
from tests.support.webserver import serving

FILES = ("Dockerfile", "Dockerfile.gpu")
KNOWN = {
    "FROM",
    "ARG",
    "ENV",
    "RUN",
    "COPY",
    "WORKDIR",
    "USER",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
} | {
    "ENTRYPOINT",
    "CMD",
}
NEEDS_BASE = ("apt-get ", "rm -rf /var/lib/apt", "useradd ", "install --directory --owner=i3d")
"""Commands that change the system they run in."""
NEEDS_NETWORK = ("pip install ",)
"""Gigabytes of packages, so only their arguments are checked: see the tests of pins."""


def commands(name: str) -> list[str]:
    """Each command of each RUN, with its ARGs filled in."""
    instructions = parse(ROOT / name)
    names = arguments(instructions)
    return [
        filled(command.strip(), names)
        for i in instructions
        if i.word == "RUN"
        for command in i.value.split("&&")
    ]


def project() -> dict[str, object]:
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert isinstance(facts, dict)
    return facts


def last_stage(instructions: list[Instruction]) -> list[Instruction]:
    return [i for i in instructions if i.stage == instructions[-1].stage]


@pytest.mark.parametrize("name", FILES)
def test_it_is_made_of_known_instructions_and_copies_what_is_there(name: str) -> None:
    instructions = parse(ROOT / name)
    assert {i.word for i in instructions} <= KNOWN
    stages = [i.value.split(" AS ")[1] for i in instructions if i.word == "FROM" and " AS " in i.value]
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    for copy in (i.value for i in instructions if i.word == "COPY"):
        if source := re.match(r"--from=(\S+) ", copy):
            assert source[1] in stages
        else:
            assert set(copy.split()[:-1]) <= sent
    assert len(stages) < sum(i.word == "FROM" for i in instructions), "the last stage is the image"


@pytest.mark.parametrize("name", FILES)
def test_the_image_runs_as_its_own_user_with_its_cache_in_a_volume(name: str) -> None:
    instructions = parse(ROOT / name)
    final = last_stage(instructions)
    user = next(i.value for i in final if i.word == "USER")
    uid = re.search(
        r"useradd --uid (\d+) --create-home (\w+)", " ".join(i.value for i in final if i.word == "RUN")
    )
    assert uid
    assert (int(uid[1]) > 1000, uid[2]) == (True, user)
    assert not [
        i for i in final[final.index(next(i for i in final if i.word == "USER")) :] if i.word == "RUN"
    ]
    volume = next(i.value for i in final if i.word == "VOLUME")
    assert environment(final, final[0].stage)["XDG_CACHE_HOME"] == volume
    assert f"--owner={user} {volume}" in " ".join(i.value for i in final)


@pytest.mark.parametrize("name", FILES)
def test_its_command_is_valid_and_requires_a_password(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    final = last_stage(parse(ROOT / name))
    program, *fixed = next(i for i in final if i.word == "ENTRYPOINT").form
    assert (program, fixed) == ("i3d-live", [])
    verb, options = understood(next(i for i in final if i.word == "CMD").form)
    assert verb == "view"
    assert str(options["port"]) == next(i.value for i in final if i.word == "EXPOSE")
    host = str(options["host"])
    assert not is_local(host)
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="needs a password"):
        find_password(None, needed_for=host)


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Yields the port of a server that answers every request with this status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield server.server_port


def healthy(name: str, port: int) -> bool:
    """Whether the image's health check passes for a server on that port."""
    final = last_stage(parse(ROOT / name))
    program, *rest = next(i for i in final if i.word == "HEALTHCHECK").form
    assert program in ("python", "python3")
    exposed = next(i.value for i in final if i.word == "EXPOSE")
    assert rest[1].count(f":{exposed}/") == 1
    command = [sys.executable, rest[0], rest[1].replace(f":{exposed}/", f":{port}/")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", FILES)
def test_its_health_check_tells_a_server_that_answers_from_one_that_does_not(name: str) -> None:
    with answering(200) as port:
        assert healthy(name, port)
    assert not healthy(name, port)
    with answering(500) as port:
        assert not healthy(name, port)


def test_the_health_check_passes_for_the_real_server_with_a_password() -> None:
    serving = pytest.importorskip("tests.support.serving")
    with serving.served(password="a long password") as server:
        assert healthy("Dockerfile", server.port)


def wanted(extra: str) -> dict[str, SpecifierSet]:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    found = [Requirement(text) for text in extras[extra]]
    return {requirement.name: requirement.specifier for requirement in found}


def pins(name: str) -> dict[str, str]:
    """The packages whose versions the file itself states."""
    return dict(re.findall(r"\b([a-z][a-z0-9-]+)==([0-9.]+)", " ".join(commands(name))))


def test_the_pins_for_the_gpu_are_those_of_the_extra() -> None:
    asked = wanted("nvidia")
    found = pins("Dockerfile.gpu")
    assert set(found) == {"torch", "torch-tensorrt", "tensorrt-cu13"}
    for package, version in found.items():
        assert package in asked, f"the extra nvidia does not ask for {package}"
        assert str(asked[package]) == f"=={version}", f"{package} {version} is not {asked[package]}"


def installed(name: str) -> set[str]:
    """The extras that the image installs."""
    asked = re.search(r'"\.\[([a-z0-9,]+)\]"', " ".join(commands(name)))
    assert asked
    return set(asked[1].split(","))


@pytest.mark.parametrize("name", FILES)
def test_the_extras_that_it_installs_are_there(name: str) -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    assert installed(name) <= set(extras)


def test_the_cpu_image_has_no_torch_and_is_pinned_by_the_constraints_alone() -> None:
    assert pins("Dockerfile") == {}
    assert not [extra for extra in installed("Dockerfile") if "torch" in wanted(extra)]
    assert 'pip install --constraint constraints.txt ".[' in " ".join(commands("Dockerfile"))


@pytest.mark.parametrize("name", FILES)
def test_every_command_is_accounted_for(name: str) -> None:
    for command in commands(name):
        kinds = [command.startswith(NEEDS_BASE), command.startswith(NEEDS_NETWORK), command in runnable(name)]
        assert sum(kinds) == 1, command


def runnable(name: str) -> list[str]:
    return [c for c in commands(name) if not c.startswith(NEEDS_BASE + NEEDS_NETWORK)]


@pytest.mark.parametrize(
    ("name", "command"), [(name, command) for name in FILES for command in runnable(name)]
)
def test_a_command_that_needs_neither_base_nor_network_runs(name: str, command: str, tmp_path: Path) -> None:
    """It runs in a folder with nothing but a constraints.txt; /opt/i3d-live is in that folder too."""
    (tmp_path / "constraints.txt").write_text(
        "numpy==2.4.6\ntorch==2.13.0\ntriton==3.7.1 ; sys_platform == 'linux'\ntorchmetrics==1.9.0\n"
        "nvidia-nccl-cu13==2.29.7\ncuda-toolkit==13.0.3.0\n"
    )
    script = command.replace("/opt/i3d-live", str(tmp_path / "i3d-live")).replace(
        "python3 -m venv", "python -m venv"
    )
    # The environment is what counts; copying pip into it takes seconds.
    script = script.replace("-m venv", "-m venv --without-pip")
    programs = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=tmp_path,
        env={"PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "> gpu.txt" in command:
        assert (tmp_path / "gpu.txt").read_text() == "numpy==2.4.6\ntorchmetrics==1.9.0\n"
    if "venv" in command:
        assert (tmp_path / "i3d-live" / "bin" / "python").exists()


def test_the_wheel_holds_every_package_and_its_data(tmp_path: Path) -> None:
    """This is what `pip install .` installs, in the images and on a user's machine."""
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    for sent in ("engines", "realtime"):
        shutil.copytree(ROOT / sent, source / sent, ignore=shutil.ignore_patterns("__pycache__"))
    for sent in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copyfile(ROOT / sent, source / sent)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(source)], check=True, capture_output=True)
    held = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "engines", "realtime"], cwd=ROOT, capture_output=True, text=True
    )
    assert "realtime/cli.py" in tracked.stdout.split()
    assert not [path for path in tracked.stdout.split() if path not in held]


def test_compose_starts_what_the_images_understand() -> None:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert set(composed["services"]) == {"cpu", "gpu"}
    for service in composed["services"].values():
        build = service["build"]
        dockerfile = build["dockerfile"] if isinstance(build, dict) else "Dockerfile"
        verb, options = understood(service["command"])
        assert (verb, options["password_file"]) == ("view", Path("/run/secrets/password"))
        assert service["secrets"] == ["password"]
        assert service["restart"] == "unless-stopped"
        final = last_stage(parse(ROOT / dockerfile))
        assert service["volumes"] == [f"cache:{next(i.value for i in final if i.word == 'VOLUME')}"]
        assert service["ports"] == [f"127.0.0.1:{options['port']}:{options['port']}"]
    assert set(composed["secrets"]) == {"password"}
    assert set(composed["volumes"]) == {"cache"}


UNIT = ROOT / "deploy" / "i3d-live.service"


def unit_settings() -> dict[str, str]:
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_the_unit_starts_what_a_bundle_understands(tmp_path: Path) -> None:
    settings = unit_settings()
    python, script, address = settings["ExecStart"].split()
    assert (Path(python).name, Path(script).name) == ("python", "run.py")
    credential, place = settings["LoadCredential"].split(":")
    assert address == f"@${{CREDENTIALS_DIRECTORY}}/{credential}"
    assert f"/dev/stdin {place}" in UNIT.read_text()
    (tmp_path / credential).write_text("rtsp://user:password@camera/stream\n")
    given = _parser().parse_args([address.replace("${CREDENTIALS_DIRECTORY}", str(tmp_path))])
    assert given.source == "rtsp://user:password@camera/stream"


def test_systemd_restarts_the_unit_unless_the_call_was_wrong() -> None:
    settings = unit_settings()
    assert settings["Restart"] == "always"
    assert settings["RestartPreventExitStatus"] == str(UsageError.exit_code)
    assert I3DLiveError.exit_code != UsageError.exit_code


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/i3d-live/venv/bin/python", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
