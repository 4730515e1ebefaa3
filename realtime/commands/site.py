"""`i3d-live site`: write, check and describe a site file."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from realtime.commands.site_options import TABLES, all_mistakes, flags_of, property_of, schema
from realtime.commands.sources import Named, open_sources, parse_sources
from realtime.errors import OutputError
from realtime.pictures import to_jpeg
from realtime.site.address import names_a_secret
from realtime.site.check import allowed
from realtime.sources.address import masked

WIDEST_PX, JPEG_QUALITY = 1280, 85
ABOUT = {
    "recognition": "What is recognised, and with which network.",
    "output": "Where it goes. Without anything here: to the terminal, or as JSON lines into a pipe.",
    "page": "The page in the browser, for i3d-live view alone.",
}
EXAMPLES: dict[str, Any] = {
    "fps": "25",
    "model": "kinetics",
    "precision": "float32",
    "smooth": 3,
    "region": "full",
    "watch": ["tai chi", "yoga"],
    "zone": ["door=10%,20%,30%,60%"],
    "idle": 30,
    "log": "log.jsonl",
    "log_mb": 50,
    "log_hours": 24,
    "annotate": "annotated.mp4",
    "timeline": "timeline.png",
    "save_clips": "events",
    "save_snapshots": "snapshots",
    "features": "features",
    "metrics": "9100",
    "mqtt": "mqtt://user@broker/house",
    "webhook": "http://homeassistant:8123/api/webhook/secret",
    "password_file": "page.password",
    "record": "clips",
}
"""Example values of settings without a default, for the comments of a new file."""
WRITTEN = ("idle",)
"""Settings that a new file has, as in the examples: off unless given, but right for most cameras."""


def init(
    sources: Annotated[
        list[str], typer.Argument(metavar="[NAME=]SOURCE", help="Cameras, files, addresses: as for run.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("site.toml"),
) -> None:
    """Write a site file for SOURCES, with a comment on everything that can be set and a picture of each beside it.

    An address that holds a password goes into a file of its own that only you can read. No file is overwritten.
    """
    named = [
        Named(each.text, each.name if _is_name(each, sources) else f"camera{number}")
        for number, each in enumerate(parse_sources(sources), start=1)
    ]
    for path in (out, *(out.with_name(f"{n.name}.{kind}") for n in named for kind in ("jpg", "address"))):
        if path.exists():
            raise OutputError(f"{path} is there already; name another file with --out, or move it away")
    opened, failures = open_sources(named)
    tables = []
    for each in opened:
        with each.video:
            frame = next(iter(each.video))
        write_new(out.with_name(f"{each.name}.jpg"), to_jpeg(frame.rgb, WIDEST_PX, JPEG_QUALITY))
        height, width = frame.size_px
        tables.append(camera_table(each.named, out, (width, height)))
    write_new(out, "\n".join([HEAD.format(out=out.name), *tables, *settings()]).encode())
    print(f"i3d-live: wrote {out}; try: i3d-live run {out}", file=sys.stderr)
    for error in failures:
        raise error


def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="The site file.")]) -> None:
    """Name every mistake of FILE, with its line and what is allowed. Exit code 2 where there is one."""
    found = all_mistakes(file)
    for line in found:
        print(f"i3d-live: {line}", file=sys.stderr)
    if found:
        raise typer.Exit(2)


def print_schema() -> None:
    """Print the JSON schema of a site file, with which an editor completes and checks it."""
    print(json.dumps(schema(), indent=2, ensure_ascii=False))


HEAD = """#:schema site.schema.json
# The cameras here and what is done with them:   i3d-live run {out}   or   i3d-live view {out}
# After a change:   i3d-live site check {out}   names every mistake; a service reads the file again at SIGHUP.
# The keys are the flags of run and view, and a flag that is typed wins. Paths start from this file's folder.
# For editors:   i3d-live site schema > site.schema.json
"""


def _is_name(named: Named, sources: list[str]) -> bool:
    return named.name is not None and any(source.startswith(f"{named.name}=") for source in sources)


def camera_table(named: Named, out: Path, size_px: tuple[int, int]) -> str:
    """[[camera]], with everything that can be set for it. An address with a secret is written to a separate file."""
    lines = ["[[camera]]", f"name = {toml(named.name)}", f"# {named.name}.jpg: {size_px[0]}x{size_px[1]} px"]
    if names_a_secret(named.text):
        path = out.with_name(f"{named.name}.address")
        write_new(path, f"{named.text}\n".encode(), mode=0o600)
        lines += [f"address_file = {toml(path.name)}  # {masked(named.text)}"]
    else:
        lines += [f"address = {toml(_from(out, named.text))}"]
    for key, parameter in flags_of("camera").items():
        lines += setting(key, parameter)
    lines += [
        "# The higher, the more important: where not all can keep up, the others leave out work first.",
        "#priority = 5",
        "# Parts of the picture: x,y,width,height in px, or each with %.",
        '#zones.door = "10%,20%,30%,60%"',
    ]
    return "\n".join(lines) + "\n"


def settings() -> Iterator[str]:
    """The other tables, with almost every setting as a comment."""
    for table in list(TABLES)[1:]:
        lines = [f"# {ABOUT[table]}", f"[{table}]"]
        for key, parameter in flags_of(table).items():
            lines += setting(key, parameter)
        yield "\n".join(lines) + "\n"


def setting(key: str, parameter: Parameter) -> list[str]:
    """What a flag is for, and its default or an example, as comments unless it is among `WRITTEN`."""
    info = get_args(parameter.annotation)[1]
    value = parameter.default
    value = EXAMPLES[key] if value in (None, "") else value
    described = property_of(parameter)
    text = f"{info.help} Give {allowed(described)}." if "enum" in described else info.help
    about = textwrap.wrap(text, 116, initial_indent="# ", subsequent_indent="# ")
    return [*about, f"{'' if key in WRITTEN else '#'}{key} = {toml(value)}"]


def toml(value: Any) -> str:
    """A value as TOML writes it: for these types, the same as JSON."""
    return json.dumps(value, ensure_ascii=False)


def _from(out: Path, text: str) -> str:
    """A file's path as written in the site file."""
    return os.path.relpath(text, out.parent) if os.path.exists(text) else text


def write_new(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Raises OutputError if it cannot be written, or already exists."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; name another file with --out") from error
