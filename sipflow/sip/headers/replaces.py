"""Replaces and Target-Dialog: headers that name another dialog (RFC 3891 §6.1, RFC 4538 §7)."""

import re
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import Params, find_param, parse_params

NO_TAG = "0"  # RFC 3891 §6.1: what stands for the missing tag of a peer of RFC 2543
_CALL_ID = re.compile(r"[^\x00-\x20\x7f;,]+")
_TAG = re.compile(r"""[^\x00-\x20\x7f;,"<>]+""")


class Replaces(NamedTuple):
    """The dialog that a new INVITE is to take the place of, as its recipient knows it.

    Attributes:
        call_id: its Call-ID.
        to_tag: the recipient's own tag in it.
        from_tag: the tag of the recipient's peer in it.
        early_only: whether it may be replaced only while it rings.
    """

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, value: str) -> "Replaces":
        """Read a Replaces value.

        Raises:
            RemoteProtocolError: it is none, or lacks a tag (status 400).
        """
        call_id, params = _read(value, "Replaces")
        to_tag, from_tag = _tag(params, "to-tag", value), _tag(params, "from-tag", value)
        return cls(call_id, to_tag, from_tag, find_param(params, "early-only") is not None)

    def __str__(self) -> str:
        flag = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag or NO_TAG};from-tag={self.from_tag or NO_TAG}{flag}"


class TargetDialog(NamedTuple):
    """The dialog that gives a request outside it its right to be served, as its sender knows it (RFC 4538 §4).

    Attributes:
        call_id: its Call-ID.
        local_tag: the sender's tag in it.
        remote_tag: the recipient's tag in it.
    """

    call_id: str
    local_tag: str
    remote_tag: str

    @classmethod
    def parse(cls, value: str) -> "TargetDialog":
        """Read a Target-Dialog value.

        Raises:
            RemoteProtocolError: it is none, or lacks a tag (status 400).
        """
        call_id, params = _read(value, "Target-Dialog")
        return cls(call_id, _tag(params, "local-tag", value), _tag(params, "remote-tag", value))

    def __str__(self) -> str:
        return f"{self.call_id};local-tag={self.local_tag or NO_TAG};remote-tag={self.remote_tag or NO_TAG}"


def _read(value: str, header: str) -> tuple[str, Params]:
    call_id, semicolon, rest = value.partition(";")
    call_id = call_id.strip(" \t")
    if _CALL_ID.fullmatch(call_id) is None:
        raise RemoteProtocolError(f"not a {header}: {value[:80]!r}")
    return call_id, parse_params(semicolon + rest)


def _tag(params: Params, name: str, value: str) -> str:
    """Give a tag, "" where the header says that there is none."""
    tag = find_param(params, name) or ""
    if _TAG.fullmatch(tag) is None:
        raise RemoteProtocolError(f"no {name} in {value[:80]!r}")
    return "" if tag == NO_TAG else tag
