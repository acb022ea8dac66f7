"""Reads the configuration file: a size, an encoding, and nothing that is not text."""

import re
from pathlib import Path

from sipflow.errors import ConfigError

LARGEST_BYTES = 1 << 20  # ten thousand trunks of a hundred bytes; a bigger file is some other file
_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.1 §5.1
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path) -> str:
    """Return what the file says.

    Raises:
        ConfigError: no such file, a folder, no permission, larger than `LARGEST_BYTES`, or not UTF-8 text.
    """
    file = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_BYTES + 1)
    except IsADirectoryError:
        raise ConfigError("this is a folder; name the YAML file in it", file=file) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"cannot be read: {reason}", file=file) from None
    return decode(data, file=file)


def decode(data: bytes, *, file: str) -> str:
    """Return `data` as text.

    Raises:
        ConfigError: larger than `LARGEST_BYTES`, not UTF-8, or with characters that are not text.
    """
    if len(data) > LARGEST_BYTES:
        raise ConfigError(f"larger than {LARGEST_BYTES} bytes: this cannot be a configuration", file=file)
    if data.startswith(_BYTE_ORDER_MARKS):
        raise ConfigError("this is UTF-16 text; save it as UTF-8", file=file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("this is not UTF-8 text; save it as UTF-8", file=file, line=line) from None
    return checked(text, file=file)


def checked(text: str, *, file: str) -> str:
    """Return `text` if it is text.

    Raises:
        ConfigError: a control character or half of a surrogate pair in it, or it is too large.
    """
    if len(text) > LARGEST_BYTES:
        raise ConfigError(f"larger than {LARGEST_BYTES} bytes: this cannot be a configuration", file=file)
    wrong = _NOT_TEXT.search(text)
    if wrong is not None:
        line = text.count("\n", 0, wrong.start()) + 1
        raise ConfigError(f"the character U+{ord(wrong[0]):04X} is not text; remove it", file=file, line=line)
    return text
