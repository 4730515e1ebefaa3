"""The annotation formats of action datasets: Kinetics CSV, UCF-101 and HMDB-51 splits, a folder per class.

`read_dataset` detects the format. The `parse_*` functions are pure: text -> (file name without suffix, label).
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.errors import UsageError

VIDEO_SUFFIXES = frozenset(
    {".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
)
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
        kind, named = "Kinetics CSV", parse_kinetics(table.read_text(), split)
        labels = sorted({label for _, label in named})
    elif found := _beside(folder, "classInd.txt"):
        kind = "UCF-101 split"
        named = parse_ucf(_split_text(found.with_name(f"{_ucf_name(split)}list{fold:02d}.txt")))
        labels = parse_ucf_classes(found.read_text())
    elif found := _beside(folder, f"*_test_split{fold}.txt"):
        kind = "HMDB-51 split"
        named, labels = _read_hmdb(found.parent, split, fold)
    else:
        return _folder_per_class(folder, split)
    return _resolve(kind, named, labels, videos or folder)


def parse_kinetics(text: str, split: str) -> list[Named]:
    """Columns label, youtube_id, time_start, time_end (s) and optionally split; files are named id_start_end, six
    digits per time."""
    rows = list(csv.DictReader(text.splitlines()))
    wanted = {"label", "youtube_id", "time_start", "time_end"}
    if not rows or not wanted <= rows[0].keys():
        has = ", ".join(rows[0]) if rows else "nothing"
        raise UsageError(f"a Kinetics CSV needs the columns {', '.join(sorted(wanted))}; this one has {has}")
    splits = {row["split"] for row in rows if row.get("split")}
    if splits and not any(_same_split(s, split) for s in splits):
        raise UsageError(f"the CSV has no split {split!r}; it has {', '.join(sorted(splits))}")
    return [
        (
            f"{row['youtube_id']}_{int(float(row['time_start'])):06d}_{int(float(row['time_end'])):06d}",
            row["label"],
        )
        for row in rows
        if not splits or _same_split(row["split"], split)
    ]


def parse_ucf(text: str) -> list[Named]:
    """Lines "Class/v_Class_g01_c01.avi", in training lists followed by the number of the class."""
    paths = [Path(line.split()[0]) for line in text.splitlines() if line.strip()]
    return [(path.stem, path.parent.name) for path in paths]


def parse_ucf_classes(text: str) -> list[str]:
    """Lines "1 ApplyEyeMakeup", counted from 1."""
    pairs = [line.split() for line in text.splitlines() if line.strip()]
    return [label for _, label in sorted(pairs, key=lambda pair: int(pair[0]))]


def parse_hmdb(text: str, label: str, split: str) -> list[Named]:
    """Lines "name.avi 1" of one class: 1 is for training, 2 for test, 0 for neither."""
    wanted = "1" if _same_split("train", split) else "2"
    pairs = [line.split() for line in text.splitlines() if line.strip()]
    return [(Path(name).stem, label) for name, use in pairs if use == wanted]


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
    with table.open() as lines:
        return "youtube_id" in next(lines, "")


def _same_split(one: str, other: str) -> bool:
    one, other = one.strip().lower(), other.strip().lower()
    return one == other or any({one, other} <= alias for alias in _SPLIT_ALIASES)


def _ucf_name(split: str) -> str:
    # UCF-101 and HMDB-51 have no validation split; the literature reports their test split.
    return "train" if _same_split("train", split) else "test"


def _beside(folder: Path, pattern: str) -> Path | None:
    """First file of that name in the folder or one below."""
    return next((p for glob in (pattern, f"*/{pattern}") for p in sorted(folder.glob(glob))), None)


def _split_text(path: Path) -> str:
    if not path.is_file():
        others = ", ".join(p.name for p in sorted(path.parent.glob("*list*.txt")))
        raise UsageError(f"{path.name} is not beside classInd.txt; there are {others or 'no lists'}")
    return path.read_text()


def _read_hmdb(folder: Path, split: str, fold: int) -> tuple[list[Named], list[str]]:
    suffix = f"_test_split{fold}.txt"
    lists = {p.name.removesuffix(suffix): p.read_text() for p in sorted(folder.glob(f"*{suffix}"))}
    return [named for label, text in lists.items() for named in parse_hmdb(text, label, split)], list(lists)


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
