"""Text files as people save them: with a byte order mark, in UTF-16, or in an encoding that nothing states."""

import codecs
from pathlib import Path

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path) -> str:
    """The text without its byte order mark.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8, nor UTF-16 with a byte order mark; the message names the line.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-16" if data.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not UTF-8 text; save the file as UTF-8") from error
