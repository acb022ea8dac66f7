"""Session descriptions as text: read, kept byte for byte, printed again (RFC 8866 §5).

Every line stays as it came, unknown attributes too, so that what is parsed prints to the same bytes.
"""

import re
from dataclasses import dataclass, field

from sipflow.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a description is read; what is larger is refused, because it would only cost time.

    Attributes:
        description_bytes: the largest UDP datagram could not carry more.
        line_bytes: the longest real lines, video parameter sets, stay below 2000.
        lines: a browser's conference has about 3000.
        attributes: of one section; 128 payload types with two lines each.
        media: a browser's conference has about 30.
        formats: of one medium; there are 128 payload types.
    """

    description_bytes: int = 65535
    line_bytes: int = 8192
    lines: int = 4096
    attributes: int = 256
    media: int = 64
    formats: int = 128


DEFAULT_LIMITS = Limits()

Line = tuple[str, str, str]  # type letter, value, line end; ("", "", end) is an empty line

# Linear on any input, because a bare CR and NUL are refused first: each line then ends where its value ends.
_LINE = re.compile(r"(?:([a-z])=([^\r\n]*)|)(\r?\n|\Z)")
_LINES = re.compile(r"(?>(?:[vosiuepcbtrzkam]=[^\r\n]*+(?:\r?\n|\Z)|\r?\n)*)")  # the letters of RFC 8866 §5 and §9
_MEDIA = re.compile(
    r"([!-~]{1,64})[ \t]+([0-9]{1,5})(?:/[0-9]{1,5})?[ \t]+([!-~]{1,64})(?:[ \t]+([!-~][!-~ \t]*))?[ \t]*"
)


@dataclass(slots=True)
class Section:
    """The lines of the session part, or of one medium.

    Attributes:
        lines: in order, as they came.
    """

    lines: list[Line] = field(default_factory=list)
    _listed: list[tuple[str, str]] | None = field(default=None, init=False, repr=False, compare=False)

    def first(self, letter: str) -> str | None:
        """Give the value of the first line of a type."""
        for line in self.lines:
            if line[0] == letter:
                return line[1]
        return None

    def attributes(self) -> list[tuple[str, str]]:
        """List the `a=` lines as name and value; the value of a flag is "" (RFC 8866 §5.13). Not to be changed."""
        found = self._listed
        if found is None:  # read once: an offer's are asked for four times
            found = self._listed = []
            for letter, value, _ in self.lines:
                if letter == "a":
                    name, _, rest = value.partition(":")
                    found.append((name.rstrip(), rest))
        return found

    def attribute(self, name: str) -> str | None:
        """Give the value of the first attribute of a name: "" for a flag, None when there is none."""
        for known, value in self.attributes():
            if known == name:
                return value
        return None

    def __str__(self) -> str:
        return "".join([f"{letter}={value}{end}" if letter else end for letter, value, end in self.lines])


@dataclass(slots=True)
class MediaDescription(Section):
    """One medium: its `m=` line taken apart, and all its lines (RFC 8866 §5.14).

    Attributes:
        kind: "audio", "video", "image" and so on.
        port: 0 to 65535; 0 means refused or switched off (RFC 3264 §6).
        protocol: as written, such as "RTP/AVP".
        formats: as written; payload types for RTP.
    """

    kind: str = ""
    port: int = 0
    protocol: str = ""
    formats: tuple[str, ...] = ()


@dataclass(slots=True)
class SessionDescription:
    """A whole description.

    Attributes:
        session: the lines before the first `m=`.
        media: one per `m=`, in order.
    """

    session: Section
    media: list[MediaDescription]

    @classmethod
    def parse(cls, data: bytes, limits: Limits = DEFAULT_LIMITS) -> "SessionDescription":
        """Read a description.

        Line ends may be CRLF or LF (RFC 8866 §5), empty lines are kept and mean nothing.

        Raises:
            RemoteProtocolError: not SDP, or larger than a limit (status 400).
        """
        lines = _split(data, limits)
        starts = [number for number, line in enumerate(lines) if line[0] == "m"]
        if len(starts) > limits.media:
            raise RemoteProtocolError(f"the description has {len(starts)} media, more than {limits.media}")
        bounds = [*starts, len(lines)]
        session = Section(lines[: bounds[0]])
        if session.first("v") != "0" or lines[0][0] != "v":
            raise RemoteProtocolError("the description does not begin with v=0 (RFC 8866 §5.1)")
        _check_size(session.lines, limits)
        media = [_medium(lines[start:end], limits) for start, end in zip(starts, bounds[1:], strict=True)]
        return cls(session, media)

    def __str__(self) -> str:
        return str(self.session) + "".join([str(medium) for medium in self.media])

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")


def _split(data: bytes, limits: Limits) -> list[Line]:
    if len(data) > limits.description_bytes:
        raise RemoteProtocolError(f"the description has {len(data)} bytes, more than {limits.description_bytes}")
    text = data.decode("utf-8", "surrogateescape")
    if "\0" in text or text.count("\r") != text.count("\r\n"):  # RFC 8866 §9: byte-string
        raise RemoteProtocolError("the description has a NUL or a CR that ends no line")
    if text.count("\n") > limits.lines:
        raise RemoteProtocolError(f"the description has {text.count(chr(10))} lines, more than {limits.lines}")
    good = _LINES.match(text)
    end = good.end() if good else 0
    if end != len(text):
        line = text[end : text.find("\n", end) % (len(text) + 1)]
        raise RemoteProtocolError(f"not a line of a description: {line[:40]!a} (RFC 8866 §5)")
    lines: list[Line] = _LINE.findall(text)
    if lines[-1] == ("", "", ""):
        lines.pop()  # the end of the text, no line
    if not lines:
        raise RemoteProtocolError("the description is empty")
    if len(text) > limits.line_bytes and (longest := max(len(line[1]) for line in lines)) > limits.line_bytes:
        raise RemoteProtocolError(f"the description has a line of {longest} bytes, more than {limits.line_bytes}")
    return lines


def _check_size(lines: list[Line], limits: Limits) -> None:
    if len(lines) > limits.attributes:
        count = sum(1 for line in lines if line[0] == "a")
        if count > limits.attributes:
            raise RemoteProtocolError(f"a section of the description has {count} attributes, over {limits.attributes}")


def _medium(lines: list[Line], limits: Limits) -> MediaDescription:
    _check_size(lines, limits)
    match = _MEDIA.fullmatch(lines[0][1])
    if match is None:
        raise RemoteProtocolError(f"not a media line: m={lines[0][1][:80]!a} (RFC 8866 §5.14)")
    port = int(match[2])
    if port > 65535:
        raise RemoteProtocolError(f"m={match[1]} has port {port}, over 65535")
    formats = tuple(match[4].split()) if match[4] else ()
    if len(formats) > limits.formats:
        raise RemoteProtocolError(f"m={match[1]} has {len(formats)} formats, more than {limits.formats}")
    return MediaDescription(lines, match[1], port, match[3], formats)
