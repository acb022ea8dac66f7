"""The pages themselves: files of this package, read once and sent as they are."""

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

FIRST = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """One file.

    Attributes:
        content: of it.
        media_type: of it.
        etag: another one for another content.
    """

    content: bytes
    media_type: str
    etag: str


def read_assets() -> Mapping[str, Asset]:
    """Return every file by its name."""
    found = {}
    for file in resources.files("sipflow.console").joinpath("pages").iterdir():
        media_type = _TYPES.get(file.name[file.name.rfind(".") :])
        if media_type is not None:
            content = file.read_bytes()
            found[file.name] = Asset(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:20]}"')
    return found
