"""The header section of a message: an ordered list of lines, kept as they came."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sipflow.errors import LocalProtocolError
from sipflow.sip.grammar import split_list
from sipflow.sip.headers.names import KEYS, header_key

# Headers whose values may be joined by commas in one line (RFC 3261 §7.3.1) and that we take apart one by one.
_LISTS = frozenset({"via", "contact", "route", "record-route", "path", "service-route", "diversion", "history-info"})
Written = tuple[tuple[str, ...], tuple[str, ...]]  # keys and whole lines of headers, ready for `Headers`
ECHO = ":echo"  # what responses repeat of a request, kept among the parsed values; no header has such a name
_PLURALS = {"via": "vias", "contact": "contacts", "route": "routes", "record-route": "record_routes"}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_ILLEGAL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 3261 §25.1: U+0080 to U+009F are UTF8-NONASCII
_LINE_END = re.compile(r"[\r\n\0]")
_CHALLENGED = frozenset({"www-authenticate", "proxy-authenticate", "authorization", "proxy-authorization"})
_NAMED = frozenset({"via", "from", "to", "call-id", "contact", "route", "record-route", "refer-to", "referred-by"})
_QUOTED_PAIR = re.compile(r"\\[\x00-\x09\x0b\x0c\x0e-\x7f]")


def unfold(line: str) -> str:
    """Return the value of a raw line: after the colon, unfolded (RFC 3261 §7.3.1) and stripped."""
    value = line[line.index(":") + 1 :]
    if "\r" in value:
        # Split rather than a pattern: a pattern for "spaces, CRLF, spaces" is quadratic on a long run of spaces.
        value = " ".join([part.strip(" \t") for part in value.split("\r\n")])
    return value.strip(" \t")


def write_line(name: str, value: str) -> str:
    """Write one header line of ours.

    Raises:
        LocalProtocolError: the name is no token, or the value holds CR, LF, NUL, another control character or text
            that UTF-8 cannot carry: whoever built it was about to inject a header, or to move somebody's cursor.
    """
    if header_key(name) is None:
        raise LocalProtocolError(f"not a header name: {name[:80]!r}")
    if not value.isprintable() and name.lower() in _CHALLENGED:
        # A peer gets its own realm and nonce back, whatever it made them of (RFC 7616 §3.4); no line end all the same.
        if _LINE_END.search(value):
            refuse_controls(value, f"a {name} header")
    elif not value.isprintable():
        _refuse_unprintable(name, value)
    if not value.isascii():
        refuse_unencodable(value)
    return f"{name}: {value}"


def _refuse_unprintable(name: str, value: str) -> None:
    """Raise LocalProtocolError unless it is what a peer may have called himself, and every message of his call repeats.

    Quoted pairs hold any character but line ends, NUL too, and other text any that is not ASCII (RFC 3261 §25.1).
    """
    if name.lower() in _NAMED and _ILLEGAL.search(_QUOTED_PAIR.sub("", value)) is None:
        return
    refuse_controls(value, f"a {name} header")


def write_lines(lines: Iterable[tuple[str, str]]) -> Written:
    """Write lines that many messages will carry, once for all of them.

    Raises:
        LocalProtocolError: as `write_line`.
    """
    pairs = [write_pair(pair) for pair in lines]
    return tuple([key for key, _ in pairs]), tuple([line for _, line in pairs])


def write_pair(pair: tuple[str, str]) -> tuple[str, str]:
    """Write one line of ours, and give its key with it.

    Raises:
        LocalProtocolError: as `write_line`.
    """
    name, value = pair
    return _key(name), write_line(name, value)


def holds_controls(text: str) -> bool:
    """Whether text holds a control character other than a tab, C1's among them (RFC 3261 §25.1: TEXT-UTF8-TRIM)."""
    return _CONTROL.search(text) is not None


def refuse_controls(text: str, where: str) -> None:
    """Raise LocalProtocolError if text holds a control character other than a tab."""
    found = _CONTROL.search(text)
    if found is not None:
        what = "CR, LF or NUL" if _LINE_END.search(text) else "a control character"
        raise LocalProtocolError(f"{what} in {where}: {text[:80]!r}")


def refuse_unencodable(text: str) -> None:
    """Raise LocalProtocolError for surrogates that did not come from decoding a peer's octets."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text that UTF-8 cannot carry: {text[:80]!r}") from error


def _key(name: str) -> str:
    return KEYS.get(name) or header_key(name) or name.lower()


class Headers:
    """An ordered list of header lines, each kept byte for byte.

    Names are matched case-blind and in their compact forms. Unknown headers are kept like known ones. Values that the
    message's typed accessors have parsed are cached here, and forgotten when their header changes.
    """

    __slots__ = ("_keys", "_lines", "_typed")

    def __init__(self, keys: list[str] | None = None, lines: list[str] | None = None) -> None:
        """Start empty; `keys` and `lines` are for the parser, which hands over both lists."""
        self._keys: list[str] = [] if keys is None else keys
        self._lines: list[str] = [] if lines is None else lines
        self._typed: dict[str, Any] = {}

    def get(self, name: str) -> str | None:
        """Return the value of the first line of that name, unfolded and stripped; None when there is none."""
        key = KEYS.get(name) or _key(name)
        if key in self._keys:
            return unfold(self._lines[self._keys.index(key)])
        return None

    def all(self, name: str) -> list[str]:
        """Return the values of all lines of that name, one per line."""
        return [unfold(line) for line in self.raw(name)]

    def raw(self, name: str) -> list[str]:
        """Return all lines of that name as they stand in the message, without the last CRLF."""
        key = KEYS.get(name) or _key(name)
        if key not in self._keys:
            return []
        return [line for known, line in zip(self._keys, self._lines, strict=True) if known == key]

    def values(self, name: str) -> list[str]:
        """Return the elements of a comma-separated header across its lines; empty elements are left out.

        Raises:
            RemoteProtocolError: a quote or bracket is not closed (status 400).
        """
        return [value for line in self.all(name) for value in split_list(line) if value]

    def count(self, name: str) -> int:
        """Return the number of lines of that name."""
        return self._keys.count(_key(name))

    def add(self, name: str, value: str) -> None:
        """Add a line at the end.

        Raises:
            LocalProtocolError: CR, LF or NUL in name or value, or a name that is no token.
        """
        key = KEYS.get(name)
        if key is not None and value.isprintable() and value.isascii():  # `write_line`, where it has no doubts
            line = f"{name}: {value}"
        else:
            line = write_line(name, value)
            key = _key(name)
        if self._typed:
            self._forget(key)
        self._keys.append(key)
        self._lines.append(line)

    def add_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add lines at the end of headers that nobody has read yet.

        Raises:
            LocalProtocolError: as `add`; the lines before are added.
        """
        keys, lines = self._keys, self._lines
        for pair in pairs:
            name, value = pair
            key = KEYS.get(name)
            if key is not None and value.isprintable() and value.isascii():  # as in `add`
                keys.append(key)
                lines.append(f"{name}: {value}")
            else:
                key, line = write_pair(pair)
                keys.append(key)
                lines.append(line)

    def add_written(self, written: Written) -> None:
        """Add lines from `write_lines` at the end of headers that nobody has read yet."""
        self._keys += written[0]
        self._lines += written[1]

    def push(self, name: str, value: str) -> None:
        """Add a line at the top.

        Raises:
            LocalProtocolError: as `add`.
        """
        key = KEYS.get(name)
        if key is not None and value.isprintable() and value.isascii():  # as in `add`
            line = f"{name}: {value}"
        else:
            key, line = write_pair((name, value))
        if self._typed:
            self._forget(key)
        self._keys.insert(0, key)
        self._lines.insert(0, line)

    def add_raw(self, line: str) -> None:
        """Add a line of another message as it stands there (from `raw`)."""
        key = _key(line[: line.index(":")])
        self._forget(key)
        self._keys.append(key)
        self._lines.append(line)

    def set(self, name: str, value: str) -> None:
        """Put one line in place of all lines of that name: where the first stood, or at the end.

        Raises:
            LocalProtocolError: as `add`.
        """
        line = write_line(name, value)
        key = _key(name)
        if key not in self._keys:
            self._forget(key)
            self._keys.append(key)
            self._lines.append(line)
            return
        place = self._keys.index(key)
        if self._keys.count(key) > 1:
            self.remove(name)
            self._keys.insert(place, key)
            self._lines.insert(place, line)
        else:
            self._forget(key)
            self._lines[place] = line

    def insert(self, name: str, value: str) -> None:
        """Add a line before the first of that name, or at the top.

        Raises:
            LocalProtocolError: as `add`.
        """
        line = write_line(name, value)
        key = _key(name)
        self._forget(key)
        place = self._keys.index(key) if key in self._keys else 0
        self._keys.insert(place, key)
        self._lines.insert(place, line)

    def replace_first(self, name: str, value: str) -> None:
        """Replace the first value of that name, or add it when there is none.

        Where several Via, Contact or Route values share a line, the others stay in it as their sender wrote them.

        Raises:
            LocalProtocolError: as `add`.
            RemoteProtocolError: the line that is to change is a broken list (status 400).
        """
        key = _key(name)
        if key not in self._keys:
            self.add(name, value)
            return
        place = self._keys.index(key)
        old = self._lines[place]
        others = split_list(unfold(old))[1:] if key in _LISTS and "," in old else []
        self._lines[place] = ", ".join([write_line(name, value), *others])
        self._forget(key)

    def remove(self, name: str) -> int:
        """Remove all lines of that name; return how many there were."""
        key = _key(name)
        count = self._keys.count(key)
        if count:
            kept = [(known, line) for known, line in zip(self._keys, self._lines, strict=True) if known != key]
            self._keys = [known for known, _ in kept]
            self._lines = [line for _, line in kept]
            self._forget(key)
        return count

    def copy(self) -> "Headers":
        """Copy the lines, and what has been parsed of them."""
        twin = Headers(self._keys.copy(), self._lines.copy())
        twin._typed = self._typed.copy()
        return twin

    def _forget(self, key: str) -> None:
        if self._typed:
            self._typed.pop(key, None)
            self._typed.pop(ECHO, None)
            plural = _PLURALS.get(key)
            if plural is not None:
                self._typed.pop(plural, None)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (KEYS.get(name) or _key(name)) in self._keys

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield each line's name as written and its value, unfolded and stripped."""
        for line in self._lines:
            yield line[: line.index(":")].rstrip(" \t"), unfold(line)

    def beginning(self, letters: frozenset[str]) -> list[tuple[str, str]]:
        """Return name and value, as iterating does, of the lines whose name begins with one of these small letters."""
        return [
            (line[: line.index(":")].rstrip(" \t"), unfold(line))
            for key, line in zip(self._keys, self._lines, strict=True)
            if key[:1] in letters
        ]

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        return self._lines == other._lines if isinstance(other, Headers) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # lines change

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"
