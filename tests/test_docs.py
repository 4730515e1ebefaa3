"""What the pages of docs/ say is true.

Every command in them is run here or, where it needs what a test lacks (a camera, a container, a GPU, minutes), only
parsed, by the program's own parser: `CARRIED_OUT` says which. Every message on the troubleshooting page is provoked.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from glob import glob
from pathlib import Path

import pytest

from engines.backends.registry import REGISTRY, Plan
from engines.load import Engines
from engines.spec import Tensors
from engines.weights.public_sets import PUBLIC
from realtime.commands.server import PASSWORD_VARIABLE
from realtime.run_bundle import _parser
from tests.conftest import ROOT
from tests.engines.conftest import own_cache, tiny_network  # noqa: F401
from tests.support.backends import Runs, register
from tests.support.command_line import Doubles, Stored, invoke_with, understood
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip, write_images, write_sound
from tests.support.made_weights import save
from tests.support.servers import free_port

PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "CONTRIBUTING.md", ROOT / "README.md"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CARRIED_OUT = ("run", "classify", "list", "info", "flow")
"""Verbs that are run if their sources are local files: `run` and `classify` with a double for the engine. `build`,
`check`, `demo`, `bundle`, `view` and `weights` have their own tests; here their calls are only parsed."""
ELSEWHERE = ("webcam:", "rtsp://", "http://", "https://", "mqtt://")
OF_THE_SYSTEM = {
    ".venv/bin/ray",
    "docker", "export", "journalctl", "scp", "sudo", "ssh", ".", "venv/bin/pip", ".venv/bin/pip", "python3",
}  # fmt: skip
FILES_AT_HAND = ("video.mp4", "pictures", "videos", "mine.pt", "mine.txt")
"""The reader's own files, by the names that the pages use."""


def blocks(language: str) -> list[tuple[str, str]]:
    """Page and text of each block of code in that language."""
    return [
        (page.name, text)
        for page in PAGES
        if page.exists()
        for found, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def shell_lines() -> list[tuple[str, str]]:
    """Page and command, without comments."""
    return [
        (page, line.split("  #")[0].strip())
        for page, text in blocks("sh")
        for line in text.replace("\\\n", " ").splitlines()
        if line.split("#")[0].strip()
    ]


def program_calls() -> list[tuple[str, list[str]]]:
    """Page and arguments of each call of i3d-live, including those inside `docker run`."""
    calls = []
    for page, line in shell_lines():
        words = shlex.split(line)
        if words[0].endswith("i3d-live"):
            calls.append((page, words[1:]))
        elif words[:2] == ["docker", "run"]:
            image = next(i for i, word in enumerate(words) if re.fullmatch(r"i3d-live(:gpu)?", word))
            if words[image + 1 :]:
                calls.append((page, words[image + 1 :]))
    return calls


class GivesSawTicks(Runs):
    """A backend whose engine, whatever the plan, reports which ticks it saw."""

    COMPILES = False

    def precisions(self) -> tuple[str, ...]:
        return ("float32",)

    def load(self, plan: Plan, folder: None, tensors: Tensors) -> SawTicks:
        return SawTicks()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that the pages mention."""
    write_clip(tmp_path / "video.mp4", every(Fraction(1, 25), 70), size_px=(160, 120))
    for folder in ("videos", "clips"):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "one.mp4", every(Fraction(1, 25), 66))
    write_images(tmp_path / "pictures", 66)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command line in this process, `run` and `classify` with doubles for the engine: exit code and stderr."""
    doubles = Doubles(Engines(SawTicks(), None, "double, made for a test"))

    def call(arguments: list[str]) -> tuple[int, str]:
        prepare = doubles if arguments[0] in ("run", "classify") else Stored()
        code, _, err = invoke_with(capsys, prepare)(*arguments)
        return code, err

    return call


@pytest.mark.parametrize(
    ("page", "arguments"),
    program_calls(),
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_documented_call_does_what_it_says(
    page: str, arguments: list[str], here: Path, call: Callable[[list[str]], tuple[int, str]]
) -> None:
    if arguments == ["--install-completion"]:
        return  # changes the shell's files; the next test asks for what the shell then asks for
    verb, options = understood(arguments)
    local = not any(address in " ".join(arguments) for address in ELSEWHERE)
    if verb not in CARRIED_OUT or not local or options.get("model", "kinetics") != "kinetics":
        return
    arguments = [
        "--watch=first" if a == "tai chi" else "--watch=last" if a in ("stretching arm", "yoga") else a
        for a in arguments
        if a != "--watch"
    ]
    arguments = ["video.mp4" if a == "VIDEO.mp4" else a for a in arguments]
    arguments = [found for a in arguments for found in (sorted(glob(a)) if "*" in a else [a])]
    code, err = call(arguments)
    assert code == 0, err
    for option in ("log", "annotate", "timeline", "out"):
        if options.get(option):
            assert (here / str(options[option])).stat().st_size > 0


@pytest.mark.parametrize(
    ("typed", "wanted"), [("i3d-live ru", "run"), ("i3d-live check --backend open", "openvino")]
)
def test_the_shell_completes_verbs_and_values(typed: str, wanted: str) -> None:
    asked = {"_I3D_LIVE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    program = Path(sys.executable).with_name("i3d-live")
    done = subprocess.run([program], env=os.environ | asked, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [wanted]


def test_every_other_command_is_known() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page, line in shell_lines():
        words = shlex.split(line)
        if words[0].endswith("i3d-live"):
            continue
        if words[0] == "make":
            assert words[1] in targets, f"{page}: {line}"
        elif words[0] == "venv/bin/python":
            assert words[1] == "edge/run.py"
            _parser().parse_args(words[2:])
        elif words[0].startswith("scripts/"):
            assert (ROOT / words[0]).exists(), f"{page}: {line}"
        else:
            assert words[0] in OF_THE_SYSTEM, f"{page}: {line}"


@pytest.mark.parametrize(
    ("page", "code"), blocks("python"), ids=lambda value: value if value.endswith(".md") else ""
)
def test_documented_python_runs(
    page: str,
    code: str,
    here: Path,
    own_cache: Path,  # noqa: F811
    tiny_network: None,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With weights of a tiny network, and a double for every backend."""
    monkeypatch.delitem(PUBLIC, "kinetics")  # only the public weights may have this name
    save("kinetics")
    for name in REGISTRY:
        register(monkeypatch, GivesSawTicks(), name)
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out


def test_links_and_pictures_are_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            assert not path or (page.parent / path).exists(), f"{page.name}: {target}"
            if anchor and not path:
                assert anchor in anchors, f"{page.name}: {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed


def test_files_that_are_named_are_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        for path in re.findall(
            r"`((?:engines|realtime|tests|docs|deploy|scripts|benchmarks)/[\w./-]+)`", text
        ):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


EVERY_PAGE = sorted([*PAGES, ROOT / "CHANGELOG.md", ROOT / "tests" / "data" / "README.md"])
MARKED = re.compile(r"^<!-- benchmarks \w+ -->$.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)


def prose(text: str) -> list[str]:
    """Lines of a page apart from code, tables and what is generated between marks."""
    for left_out in (MARKED, re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)):
        text = left_out.sub("", text)
    return [line for line in text.splitlines() if not line.startswith("|")]


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_of_pages_ends_at_column_120(page: Path) -> None:
    assert [line for line in prose(page.read_text(encoding="utf-8")) if len(line) > 120] == []


def test_what_counts_as_prose() -> None:
    page = "a\n```sh\ncode\n```\n| row |\n<!-- benchmarks x -->\n<sub>b</sub>\n<!-- end -->\nc"
    assert [line for line in prose(page) if line] == ["a", "c"]


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 110
    tables = [line for line in lines if re.fullmatch(r"\|( *:?-+:? *\|)+", line)]
    assert len(tables) == 1


def test_the_glossary_has_twenty_words() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| (\w+) \| \S", page, flags=re.MULTILINE)
    assert len(set(words) - {"word"}) == 20


# Every message on the troubleshooting page


def provoked(tmp_path: Path) -> dict[str, list[str]]:
    """Calls, by the beginning of the message that they provoke."""
    write_sound(tmp_path / "sound.mp4", Fraction(1))
    (tmp_path / "text.mp4").write_text("not a video\n")
    (tmp_path / "none.mp4").write_text("")
    (tmp_path / "mine.txt").write_text("jump\n")
    (tmp_path / "short").write_text("abcde\n")
    write_images(tmp_path / "photos", 2)
    return {
        "nothing.mp4: no such": ["run", "nothing.mp4"],
        "text.mp4: cannot": ["run", "text.mp4"],
        "none.mp4: the file": ["run", "none.mp4"],
        "sound.mp4: no video": ["run", "sound.mp4"],
        "photos: a folder": ["run", "photos"],
        "webcam:99": ["run", "webcam:99"],
        "rtsp://127.0.0.1": ["run", f"rtsp://127.0.0.1:{free_port()}/x"],
        "rtsp://no-such-host": ["run", "rtsp://no-such-host.invalid/x"],
        "ftp://camera": ["run", "ftp://camera/x"],
        "No such option": ["run", "video.mp4", "--lgo", "x"],
        "Invalid value for --off": ["run", "video.mp4", "--on", "0.2", "--off", "0.5"],
        "'tai-chi'": ["run", "video.mp4", "--watch", "tai-chi", "--watch", "first"],
        "region": ["run", "video.mp4", "--region", "1,2,3"],
        "backend 'tensorflow'": ["check", "--backend", "tensorflow"],
        "precision of openvino": ["check", "--backend", "openvino", "--precision", "float8"],
        "there is no model": ["check", "--model", "nothing"],
        "the flow weights of": ["check", "--model", "imagenet-kinetics", "--streams", "flow"],
        "mine.txt is not": ["weights", "import", "mine.txt", "--name", "mine"],
        "cannot write nowhere/out.mp4": ["run", "video.mp4", "--annotate", "nowhere/out.mp4"],
        "cannot write the log": ["run", "video.mp4", "--log", "nowhere/log.jsonl"],
        "cannot write out.avi": ["run", "video.mp4", "--annotate", "out.avi"],
        "--host 0.0.0.0": ["view", "--host", "0.0.0.0"],
        "the password has": ["view", "--host", "0.0.0.0", "--password-file", "short"],
    }


def messages() -> list[str]:
    return [text.strip() for page, text in blocks("text") if page == "troubleshooting.md"]


def test_every_message_of_troubleshooting_is_printed(
    here: Path, call: Callable[[list[str]], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    calls = provoked(here)
    for message in messages():
        if "port <port>: Address already in use" in message:
            continue  # provoked by the next test
        starts = [start for start in calls if message.startswith(f"i3d-live: {start}")]
        assert len(starts) == 1, f"nothing provokes: {message}"
        code, err = call(calls.pop(starts[0]))
        assert code in (1, 2)
        pattern = re.sub(r"<.*?>", ".+", re.escape(message))
        assert re.fullmatch(pattern, err.strip()), f"printed: {err}\non the page: {message}"
    assert not calls


def test_a_port_in_use_is_reported_as_documented(
    here: Path, call: Callable[[list[str]], tuple[int, str]]
) -> None:
    import socket

    pytest.importorskip("gradio")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = call(["view", "--port", str(port)])
    message = next(text for text in messages() if "Address already in use" in text)
    assert (code, err.strip()) == (2, message.replace("<port>", str(port)))


def test_every_file_that_the_architecture_names_is_there() -> None:
    """A newcomer's thirty questions, each answered by one file."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"^\| [^|]+\? \| `([\w/]+\.py)` \|$", page, flags=re.MULTILINE)
    assert len(named) >= 30
    assert [path for path in named if not (ROOT / path).read_text()] == []
    rooms = {path.parent for top in ("engines", "realtime") for path in (ROOT / top).glob("*/__init__.py")}
    assert [room.name for room in rooms if f"{room.name}/" not in page] == []
