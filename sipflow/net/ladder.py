"""The messages of a call as a drawing: who sent what to whom, and when. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sipflow.net.ring import Traced
from sipflow.net.trace import mask

_US = "sipflow"
_CSEQ = re.compile(rb"(?im)^cseq[ \t]*:[ \t]*[0-9]+[ \t]+([A-Za-z]+)")
_CONTENT = re.compile(rb"(?im)^(?:content-type|c)[ \t]*:[ \t]*([!-~]+)")
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Rung:
    """One arrow of a ladder.

    Attributes:
        at: seconds since 1970.
        after_s: seconds since the first message.
        source, target: names of the lifelines: `sipflow`, or a far end's address.
        label: such as `INVITE (sdp)` or `200 OK to INVITE`.
        text: the message, secrets masked.
        repeated: whether the same octets went the same way before: a retransmission.
    """

    at: float
    after_s: float
    source: str
    target: str
    label: str
    text: str
    repeated: bool


def rungs(messages: Sequence[Traced]) -> list[Rung]:
    """Turn messages into arrows, in order."""
    seen: set[tuple[bool, str, bytes]] = set()
    drawn = []
    for message in sorted(messages, key=lambda each: each.at):
        key = (message.sent, str(message.hop), message.data)
        far = str(message.hop)
        source, target = (_US, far) if message.sent else (far, _US)
        drawn.append(
            Rung(
                at=message.at,
                after_s=message.at - messages[0].at,
                source=source,
                target=target,
                label=label_of(message.data),
                text=mask(message.data.decode("utf-8", "backslashreplace")),
                repeated=key in seen,
            )
        )
        seen.add(key)
    return drawn


def draw(messages: Sequence[Traced], *, width: int = 44) -> str:
    """Draw a ladder as plain text: one lifeline for us, one for each far end.

    Args:
        messages: of one call, or of both its legs.
        width: characters from one lifeline to the next.
    """
    arrows = rungs(messages)
    if not arrows:
        return "no messages are kept of this call"
    lines = _lifelines(arrows)
    heads = "".join(_plain(name)[: width - 2].ljust(width) for name in lines)
    drawn = [f"{'':>10}  {heads}".rstrip()]
    for arrow in arrows:
        drawn.append(f"{arrow.after_s:>9.3f}s  {_row(arrow, lines, width)}")
    return "\n".join(drawn)


def label_of(data: bytes) -> str:
    """Say in a few words what a message is."""
    first, _, rest = data.partition(b"\r\n")
    words = _plain(first.decode("utf-8", "replace")).split(" ", 2)
    if words[0].upper().startswith("SIP/2"):
        method = _CSEQ.search(rest[:8192])
        to = f" to {method[1].decode()}" if method is not None else ""
        label = " ".join(words[1:]) + to
    else:
        label = words[0]
    kind = _CONTENT.search(rest[:8192])
    if kind is not None and len(data.partition(b"\r\n\r\n")[2]) > 0:
        label += f" ({kind[1].decode().rpartition('/')[2].lower()})"
    return label[:_LONGEST_LABEL]


def _lifelines(arrows: Sequence[Rung]) -> list[str]:
    """Put the first far end on the left of us, and all others on the right."""
    far = list(dict.fromkeys(name for arrow in arrows for name in (arrow.source, arrow.target) if name != _US))
    return [*far[:1], _US, *far[1:]]


def _row(arrow: Rung, lines: list[str], width: int) -> str:
    start, end = lines.index(arrow.source), lines.index(arrow.target)
    left, right = min(start, end), max(start, end)
    label = f" {arrow.label}{' (again)' if arrow.repeated else ''} "
    shaft = label.center((right - left) * width - 2, "-")
    shaft = shaft + ">" if start < end else "<" + shaft
    row = [" "] * (len(lines) * width)
    for number in range(len(lines)):
        row[number * width] = "|"
    row[left * width + 1 : left * width + 1 + len(shaft)] = shaft
    return "".join(row).rstrip()


def _plain(text: str) -> str:
    """Let nothing through that a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
