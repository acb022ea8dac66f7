"""A name and a password that may answer a challenge."""

import re
from dataclasses import dataclass, field

from sipflow.errors import LocalProtocolError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Account:
    """A name and a password that may answer a challenge. The password appears in no repr.

    Attributes:
        username: the authentication name, as the far end knows it.
        password: in plain text.
        realm: the only realm this account answers; None for any.

    Raises:
        LocalProtocolError: the username or realm holds a control character, or one of the three is not Unicode text.
    """

    username: str
    password: str = field(repr=False)
    realm: str | None = None

    def __post_init__(self) -> None:
        realm = self.realm or ""
        if _CONTROL.search(self.username) or _CONTROL.search(realm):
            raise LocalProtocolError("a username or realm cannot hold control characters")
        if not _is_text(f"{self.username}{self.password}{realm}"):
            raise LocalProtocolError("a username, password or realm is not Unicode text")


def _is_text(text: str) -> bool:
    """Whether `text` is Unicode: asked here, for the error quotes the text, and a password is part of it."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
