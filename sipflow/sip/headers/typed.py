"""Typed reading of a message's headers: parsed when first read, kept until that header changes."""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeVar

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import split_list
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.content import MediaType
from sipflow.sip.headers.cseq import CSeq
from sipflow.sip.headers.lines import Headers, unfold
from sipflow.sip.headers.scalars import parse_expires, parse_max_forwards
from sipflow.sip.headers.via import Via
from sipflow.sip.ids import MAGIC_COOKIE

T = TypeVar("T")

_SPELLED = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq", "contact": "Contact"}
_TAGGED = ">;tag="
_USUAL_CALL_ID = "Call-ID: "
_CALL_ID_AT = len(_USUAL_CALL_ID)
_address = partial(tuple.__new__, NameAddr)  # a third of what calling a named tuple costs
_CALL_ID = re.compile(r"[^\x00-\x20\x7f]+")  # RFC 3261 §25.1 callid, and what else cannot be misread


def _read_address(line: str) -> NameAddr:
    return NameAddr.parse(unfold(line))


def _read_cseq(line: str) -> CSeq:
    return CSeq.parse(unfold(line))


def read_address(line: str) -> NameAddr:
    """Read the line of a From or To.

    Its tag is new in each call, and what stands before it is what the caller's other calls have, too: only that is
    remembered. Lines that never come again would push the others out.
    """
    front, mark, tag = line.rpartition(_TAGGED)
    if mark and tag.isalnum() and tag.isascii():
        address = _known_address(f"{front}>")
        if not address.params:
            return _address((address.display, address.uri, (("tag", tag),)))
    return _known_address(line)


def read_call_id(line: str) -> str:
    """Read the line of a Call-ID, which never comes again once its call is over."""
    if line.startswith(_USUAL_CALL_ID) and _CALL_ID.fullmatch(line, _CALL_ID_AT) is not None:
        return line[_CALL_ID_AT:]
    value = unfold(line)
    if _CALL_ID.fullmatch(value) is None:
        raise RemoteProtocolError(f"not a Call-ID: {value[:80]!r}")
    return value


def _read_first_contact(line: str) -> NameAddr | None:
    """Read the first Contact of a line; None for `*`."""
    value = unfold(line)
    if "," in value:
        value = split_list(value)[0]
    return None if value == "*" else NameAddr.parse(value)


def _read_max_forwards(line: str) -> int | None:
    return parse_max_forwards(unfold(line))


def _read_content_type(line: str) -> str:
    return MediaType.parse(unfold(line)).essence


# Calls repeat lines: a peer's Contact, CSeq and Max-Forwards are the same text in all of its calls. Looking a line up
# costs 0.1 us, reading an address 3 (CPython 3.11). One memory each, or numbers and addresses would drive each other
# out; full of the longest lines of `Limits`, 8 MB each.
_known_address = lru_cache(maxsize=1024)(_read_address)
read_cseq = lru_cache(maxsize=256)(_read_cseq)
read_content_type = lru_cache(maxsize=256)(_read_content_type)
read_first_contact = lru_cache(maxsize=1024)(_read_first_contact)
read_max_forwards = lru_cache(maxsize=256)(_read_max_forwards)


class TypedHeaders:
    """What requests and responses share.

    The typed accessors parse a header when it is first read and keep the value until that header changes. Each raises
    RemoteProtocolError (status 400) when its header is mandatory and missing, stands twice, or is malformed.
    """

    __slots__ = ("_as_received", "body", "headers")

    headers: Headers
    body: bytes
    _as_received: bool

    @property
    def via(self) -> Via:
        """The top Via. Assigning replaces it alone."""
        typed = self.headers._typed
        found: Via | None = typed.get("via")
        if found is None:
            found = typed["via"] = Via.parse(self._first_of_list("via"))
        return found

    @via.setter
    def via(self, value: Via) -> None:
        self.headers.replace_first("Via", str(value))
        self.headers._typed["via"] = value

    def push_via(self, value: Via) -> None:
        """Put a Via on top of the others.

        Raises:
            LocalProtocolError: as `Headers.insert`.
        """
        headers = self.headers
        if "via" in headers._keys:
            headers.insert("Via", str(value))
        else:
            headers.push("Via", str(value))
        headers._typed["via"] = value

    @property
    def vias(self) -> list[Via]:
        return self._list("vias", "Via", Via.parse)

    @property
    def branch(self) -> str:
        """The top Via's branch; "" when there is none, or nothing but the magic cookie (RFC 4475 §3.2.1)."""
        branch = self.via.branch
        return "" if branch is None or branch == MAGIC_COOKIE else branch

    @property
    def from_(self) -> NameAddr:
        typed = self.headers._typed
        found: NameAddr | None = typed.get("from")
        if found is None:
            found = typed["from"] = read_address(self._single("from"))
        return found

    @property
    def to(self) -> NameAddr:
        typed = self.headers._typed
        found: NameAddr | None = typed.get("to")
        if found is None:
            found = typed["to"] = read_address(self._single("to"))
        return found

    @property
    def call_id(self) -> str:
        typed = self.headers._typed
        found: str | None = typed.get("call-id")
        if found is None:
            found = typed["call-id"] = read_call_id(self._single("call-id"))
        return found

    @property
    def cseq(self) -> CSeq:
        typed = self.headers._typed
        found: CSeq | None = typed.get("cseq")
        if found is None:
            found = typed["cseq"] = read_cseq(self._single("cseq"))
        return found

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None when there is none, or `*`."""
        headers = self.headers
        found: NameAddr | None = headers._typed.get("contact")
        if found is None and "contact" in headers._keys:
            found = read_first_contact(headers._lines[headers._keys.index("contact")])
            if found is not None:
                headers._typed["contact"] = found
        return found

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contacts; empty for `*` (see `contact_is_star`)."""
        return [] if self.contact_is_star else self._list("contacts", "Contact", NameAddr.parse)

    @property
    def contact_is_star(self) -> bool:
        """Whether the one Contact is `*`: a REGISTER that removes all bindings (RFC 3261 §10.2.2)."""
        return self.headers.all("Contact") == ["*"]

    @property
    def routes(self) -> list[NameAddr]:
        return self._list("routes", "Route", NameAddr.parse)

    @property
    def record_routes(self) -> list[NameAddr]:
        return self._list("record_routes", "Record-Route", NameAddr.parse)

    @property
    def max_forwards(self) -> int | None:
        """0 to 255; None when there is none, or one above 255 (RFC 4475 §3.1.2.4)."""
        headers = self.headers
        if "max-forwards" not in headers._keys:
            return None
        return read_max_forwards(headers._lines[headers._keys.index("max-forwards")])

    @property
    def expires(self) -> int | None:
        """Seconds; None when there is none, 3600 when it is malformed (RFC 3261 §20.10)."""
        value = self.headers.get("Expires")
        return None if value is None else parse_expires(value)

    @property
    def content_type(self) -> str | None:
        """The body's media type in lower case and without parameters; None when there is none."""
        headers = self.headers
        if "content-type" not in headers._keys:
            return None
        return read_content_type(headers._lines[headers._keys.index("content-type")])

    def set_body(self, body: bytes, content_type: str) -> None:
        """Replace the body, its Content-Type (none for an empty body) and its Content-Length.

        Raises:
            LocalProtocolError: CR, LF or NUL in `content_type`.
        """
        if body:
            self.headers.set("Content-Type", content_type)
        else:
            self.headers.remove("Content-Type")
        self.headers.set("Content-Length", str(len(body)))
        self.body = body

    def _single(self, key: str) -> str:
        """Give the line of a header that must stand once."""
        headers = self.headers
        count = headers._keys.count(key)
        if count != 1:
            name = _SPELLED[key]
            raise RemoteProtocolError(f"{name} stands {count} times, not once" if count else f"{name} is missing")
        return headers._lines[headers._keys.index(key)]

    def _first_of_list(self, key: str) -> str:
        headers = self.headers
        if key not in headers._keys:
            raise RemoteProtocolError(f"{_SPELLED[key]} is missing")
        value = unfold(headers._lines[headers._keys.index(key)])
        return split_list(value)[0] if "," in value else value

    def _list(self, cache_key: str, name: str, parse: Callable[[str], T]) -> list[T]:
        typed = self.headers._typed
        found: list[T] | None = typed.get(cache_key)
        if found is None:
            # An empty element is an error here: it may hide what the next hop reads as a value.
            found = [parse(value) for line in self.headers.all(name) for value in split_list(line)]
            typed[cache_key] = found
        return found.copy()

    def _serialise(self, start_line: str) -> bytes:
        headers = self.headers
        lines = [start_line, *headers._lines]
        if not self._as_received and "content-length" not in headers._keys:
            lines.append(f"Content-Length: {len(self.body)}")  # RFC 3261 §20.14: MUST be there on a stream
        lines.append("\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body
