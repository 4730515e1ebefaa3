"""A Dockerfile as a list of instructions; parses what this project's Dockerfiles contain."""

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction, continued lines joined."""

    stage: int
    """Number of the FROM that it follows, from 0; -1 before the first."""
    word: str
    """FROM, RUN, ..."""
    value: str

    @property
    def form(self) -> list[str]:
        """The words of ENTRYPOINT, CMD or HEALTHCHECK ... CMD, which must be in brackets."""
        found = json.loads(self.value[self.value.index("[") :])
        assert isinstance(found, list)
        return found


def parse(path: Path) -> list[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    found: list[Instruction] = []
    stage = -1
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, _, value = line.partition(" ")
        stage += word == "FROM"
        found.append(Instruction(stage, word, " ".join(value.split())))
    return found


def arguments(instructions: list[Instruction]) -> dict[str, str]:
    """ARG names and their defaults."""
    pairs = [i.value.partition("=") for i in instructions if i.word == "ARG"]
    return {name: value for name, _, value in pairs}


def environment(instructions: list[Instruction], stage: int) -> dict[str, str]:
    """The variables that ENV sets in this stage itself, not in those that it is made from."""
    pairs = [
        p.partition("=")
        for i in instructions
        if i.word == "ENV" and i.stage == stage
        for p in i.value.split()
    ]
    return {name: value for name, _, value in pairs}


def filled(value: str, names: dict[str, str]) -> str:
    """The text with each $NAME replaced."""
    return re.sub(r"\$\{?([A-Z_]+)\}?", lambda found: names.get(found[1], found[0]), value)
