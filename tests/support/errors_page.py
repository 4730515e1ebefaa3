"""docs/errors.md: every error that the program raises, side by side, read from its sources.

python -m tests.support.errors_page        writes the page
"""

import ast
from collections.abc import Iterator

import engines.errors
import realtime.errors
from engines.errors import I3DLiveError
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "errors.md"
NAMES = {
    name: kind
    for module in (realtime.errors, engines.errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, I3DLiveError)
}
HEAD = """# Every error, side by side

Each error is one line on stderr: what was given, what is allowed, what to do. The parts in `<brackets>` are filled in
when it happens. What to do about the common ones is in [troubleshooting](troubleshooting.md).
`python -m tests.support.errors_page` writes this page from the sources.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the data or the machine did not allow it |
| 2 | the call was wrong: the same call will be wrong again |
| 130 | Ctrl-C; what was written so far is complete |

A wrong option is an error of the command line itself, with exit code 2 and the help to ask for.
"""


def raised() -> Iterator[tuple[str, str, str]]:
    """Class, file and message of every error that is made anywhere in the program."""
    for path in sorted([*ROOT.glob("engines/**/*.py"), *ROOT.glob("realtime/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (kind := _class_of(node)) and node.args:
                yield kind, str(path.relative_to(ROOT)), message(node.args[0])


def _class_of(call: ast.Call) -> str | None:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    return "UsageError" if name == "BadParameter" else name if name in NAMES else None


def message(node: ast.expr) -> str:
    """The text of an expression, with what is filled in as <its name>."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(message(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return message(node.value) if isinstance(node.value, ast.IfExp) else f"<{_short(node.value)}>"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return message(node.left) + message(node.right)
    if isinstance(node, ast.IfExp):
        return f"{message(node.body)} | {message(node.orelse)}"
    return f"<{_short(node)}>"


def _short(node: ast.expr) -> str:
    """A name that tells a reader something: the last one in an expression."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        return "list"
    names = [
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute | ast.Name)
    ]
    plain = [name for name in names if name not in ("str", "len", "error", "min", "max", "sorted")]
    return (plain or names or ["value"])[0].strip("_").replace("_", " ").lower()


def page() -> str:
    parts, every = [HEAD], list(raised())
    for name in NAMES:
        messages = sorted({text for kind, _, text in every if kind == name})
        if messages:
            code = NAMES[name].exit_code
            rows = "\n".join(messages)
            parts.append(
                f"\n## {name}: exit code {code}\n\n{(NAMES[name].__doc__ or '').strip()}\n\n```text\n{rows}\n```\n"
            )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
