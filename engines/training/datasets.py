"""The annotation formats of action datasets: Kinetics CSV, UCF-101 and HMDB-51 splits, a folder per class.

`read_dataset` detects the format. The `parse_*` functions are pure: text -> (file name without suffix, label).
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engines.errors import UsageError
from engines.text_files import read_text

T = TypeVar("T")
VIDEO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif",
    ".h264", ".hevc", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg",
    ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm",
    ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})  # fmt: skip
"""Endings, in capitals or not, of the files in a folder that count as videos. A file given by name is always opened."""
MOST_NAMED = 3
_SPLIT_ALIASES = ({"val", "validate", "validation"}, {"test", "testing"}, {"train", "training"})

Named = tuple[str, str]
"""File name without folder and suffix, and label."""


@dataclass(frozen=True)
class Clip:
    path: Path
    label: int
    """Index of the class in `Dataset.labels`."""


@dataclass(frozen=True)
class Dataset:
    kind: str
    """"Kinetics CSV", "UCF-101 split", "HMDB-51 split" or "folder per class"."""
    labels: tuple[str, ...]
    clips: tuple[Clip, ...]
    missing: tuple[str, ...]
    """Names of annotated videos that are not in the folder, as is common with Kinetics."""


def read_dataset(
    annotations: Path, split: str = "test", fold: int = 1, videos: Path | None = None
) -> Dataset:
    """The clips of one split ("train", "val", "test"), for UCF-101 and HMDB-51 of one fold (1, 2, 3).

    `annotations` is a Kinetics CSV, or a folder that holds CSV files named after their split, UCF-101's `classInd.txt`
    and `testlist01.txt`, HMDB-51's `*_test_split1.txt`, or a folder per class (possibly inside a folder named after
    the split). Videos are found by name at any depth in `videos`, which defaults to the same place.
    """
    if not annotations.exists():
        raise UsageError(f"{annotations} does not exist; give an annotation CSV or a folder")
    folder = annotations if annotations.is_dir() else annotations.parent
    table = _kinetics_table(annotations, split)
    if table is not None:
        kind, named = "Kinetics CSV", _parsed(table, lambda text: parse_kinetics(text, split))
        labels = sorted({label for _, label in named})
    elif found := _beside(folder, "classInd.txt"):
        kind = "UCF-101 split"
        named = _parsed(_split_list(found.with_name(f"{_ucf_name(split)}list{fold:02d}.txt")), parse_ucf)
        labels = _parsed(found, parse_ucf_classes)
    elif found := _beside(folder, f"*_test_split{fold}.txt"):
        kind = "HMDB-51 split"
        named, labels = _read_hmdb(found.parent, split, fold)
    else:
        return _folder_per_class(folder, split)
    return _resolve(kind, named, labels, videos or folder)


def parse_kinetics(text: str, split: str) -> list[Named]:
    """Columns label, youtube_id, time_start, time_end (s) and optionally split; files are named id_start_end, six
    digits per time."""
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    rows = [(reader.line_num, row) for row in reader]
    wanted = {"label", "youtube_id", "time_start", "time_end"}
    if not rows or not wanted <= rows[0][1].keys():
        has = ", ".join(map(str, rows[0][1])) if rows else "nothing"
        raise UsageError(f"a Kinetics CSV needs the columns {', '.join(sorted(wanted))}; this one has {has}")
    splits = {row["split"] for _, row in rows if row.get("split")}
    if splits and not any(_same_split(s, split) for s in splits):
        raise UsageError(f"the CSV has no split {split!r}; it has {', '.join(sorted(splits))}")
    found = []
    for line, row in rows:
        if not splits or _same_split(row.get("split") or "", split):
            with _in_line(line):
                found.append(_kinetics_row(row))
    return found


def _kinetics_row(row: Mapping[str, str | None]) -> Named:
    if None in row or not (row["label"] and row["youtube_id"]):
        raise ValueError("it has too few or too many columns; give each row what the first one names")
    start_s, end_s = (_seconds(row[column], column) for column in ("time_start", "time_end"))
    return f"{row['youtube_id']}_{start_s:06d}_{end_s:06d}", row["label"].strip()


def _seconds(text: str | None, column: str) -> int:
    try:
        return int(float(text or ""))
    except (ValueError, OverflowError):
        raise ValueError(f"{column} is {text or 'blank'}; give seconds, such as 12") from None


@contextmanager
def _in_line(number: int) -> Iterator[None]:
    """Errors say in which line they are."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"line {number}: {error}") from error


def _parsed(path: Path, parse: Callable[[str], T]) -> T:
    """What a list holds; errors name it."""
    try:
        return parse(read_text(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give another list") from error
    except (UsageError, ValueError, csv.Error) as error:
        raise UsageError(f"{path}: {error}") from error


def _rows(text: str, columns: range, form: str) -> Iterator[list[str]]:
    """Lines that are not blank, in their cells, of which there may be as many as `columns` has; `form`: an example."""
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split()
        if cells:
            with _in_line(number):
                if len(cells) not in columns or cells[0].isdecimal() != form[0].isdecimal():
                    raise ValueError(f"{line.strip()!r} is not as in {form!r}; correct it")
            yield cells


def parse_ucf(text: str) -> list[Named]:
    """Lines "Class/v_Class_g01_c01.avi", in training lists followed by the number of the class."""
    paths = [Path(cells[0]) for cells in _rows(text, range(1, 3), "Archery/v_Archery_g01_c01.avi")]
    return [(path.stem, path.parent.name) for path in paths]


def parse_ucf_classes(text: str) -> list[str]:
    """Lines "1 ApplyEyeMakeup", counted from 1."""
    pairs = [(int(cells[0]), cells[1]) for cells in _rows(text, range(2, 3), "1 ApplyEyeMakeup")]
    return [label for _, label in sorted(pairs)]


def parse_hmdb(text: str, label: str, split: str) -> list[Named]:
    """Lines "name.avi 1" of one class: 1 is for training, 2 for test, 0 for neither."""
    wanted = "1" if _same_split("train", split) else "2"
    return [(Path(c[0]).stem, label) for c in _rows(text, range(2, 3), "name.avi 1") if c[1] == wanted]


def _kinetics_table(annotations: Path, split: str) -> Path | None:
    if annotations.is_file():
        return annotations
    tables = [t for t in sorted(annotations.glob("*.csv")) if _is_kinetics(t)]
    named = [
        t for t in tables if any(_same_split(word, split) for word in t.stem.replace("-", "_").split("_"))
    ]
    if named:
        return named[0]
    if len(tables) > 1:
        raise UsageError(
            f"none of {', '.join(t.name for t in tables)} is named after the split {split!r}; give the file"
        )
    return tables[0] if tables else None


def _is_kinetics(table: Path) -> bool:
    first = table.read_bytes()[:1000].replace(b"\0", b"")  # in UTF-16 every other byte is zero
    return b"youtube_id" in first.partition(b"\n")[0]


def _same_split(one: str, other: str) -> bool:
    one, other = one.strip().lower(), other.strip().lower()
    return one == other or any({one, other} <= alias for alias in _SPLIT_ALIASES)


def _ucf_name(split: str) -> str:
    # UCF-101 and HMDB-51 have no validation split; the literature reports their test split.
    return "train" if _same_split("train", split) else "test"


def _beside(folder: Path, pattern: str) -> Path | None:
    """First file of that name in the folder or one below."""
    return next((p for glob in (pattern, f"*/{pattern}") for p in sorted(folder.glob(glob))), None)


def _split_list(path: Path) -> Path:
    if not path.is_file():
        others = ", ".join(p.name for p in sorted(path.parent.glob("*list*.txt")))
        raise UsageError(f"{path.name} is not beside classInd.txt; there are {others or 'no lists'}")
    return path


def _read_hmdb(folder: Path, split: str, fold: int) -> tuple[list[Named], list[str]]:
    suffix = f"_test_split{fold}.txt"
    lists = {path.name.removesuffix(suffix): path for path in sorted(folder.glob(f"*{suffix}"))}
    named: list[Named] = []
    for label, path in lists.items():
        named += _parsed(path, lambda text, label=label: parse_hmdb(text, label, split))  # type: ignore[misc]
    return named, list(lists)


def _resolve(kind: str, named: Iterable[Named], labels: list[str], videos: Path) -> Dataset:
    """Match annotated names to files. If a name occurs in two folders, the one named after the class counts."""
    files = _videos_below(videos)
    number = {label: n for n, label in enumerate(labels)}
    clips, missing = [], []
    for name, label in named:
        if label not in number:
            raise UsageError(f"{name} has the label {label!r}, which is not among the {len(labels)} classes")
        if path := files.get(f"{_plain(label)}/{name}") or files.get(name):
            clips.append(Clip(path, number[label]))
        else:
            missing.append(name)
    if not clips:
        raise UsageError(
            f"none of the {len(missing)} annotated videos is below {videos}; give the folder that holds them"
        )
    return Dataset(kind, tuple(labels), tuple(clips), tuple(missing))


def _videos_below(folder: Path) -> Mapping[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES:
            files[path.stem] = path
            files[f"{_plain(path.parent.name)}/{path.stem}"] = path
    return files


def _plain(label: str) -> str:
    return label.replace("_", " ").strip().lower()


def _folder_per_class(folder: Path, split: str) -> Dataset:
    of_split = [p for p in sorted(folder.iterdir()) if p.is_dir() and _same_split(p.name, split)]
    root = of_split[0] if of_split else folder
    classes = [p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    clips = [
        Clip(path, number)
        for number, folder_of_class in enumerate(classes)
        for path in sorted(folder_of_class.rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES
    ]
    if not clips:
        raise UsageError(
            f"{root} holds no annotations that are known here (Kinetics CSV, UCF-101 or HMDB-51 splits) and no folders"
            f" with videos ({', '.join(sorted(VIDEO_SUFFIXES))}); give the folder that does"
        )
    return Dataset("folder per class", tuple(p.name for p in classes), tuple(clips), ())


def not_videos(files: Iterable[Path]) -> str:
    """What is said of files that are left out because of their names; nothing where there is none. Hidden ones are not
    meant."""
    names = sorted(
        f.name
        for f in files
        if f.is_file() and f.suffix.lower() not in VIDEO_SUFFIXES and not f.name.startswith(".")
    )
    return f"left out {len(names)} files that do not end as videos do: {and_more(names)}" if names else ""


def and_more(names: list[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
