"""What is known of a call beside its record: its messages, its audio packets, and all of it as one bundle."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipflow import __version__
from sipflow.api.call_desk import CallDesk
from sipflow.calls.captures import Captures
from sipflow.calls.record import CallRecord, Happening
from sipflow.media.capture import CapturedPacket
from sipflow.net.ladder import draw
from sipflow.net.pcap import Datagram, from_trace, write_pcap
from sipflow.net.ring import Traced, TraceRing
from sipflow.net.trace import masked
from sipflow.store.record_json import to_json

_ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  (recognised, not bound)
_NO_RING = "SIP messages are not kept here (trace.enabled is false)"
_TOO_LATE = "no messages are kept: it was before sipflow started, or later calls took its room (trace.ring_mb)"
_README = """What sipflow {version} knows of call {call_id}, written {at}.

ladder.txt       who sent what to whom, and when
messages.txt     the same messages in full; passwords, digest proofs, media keys and digits are hidden
call.pcap        the messages{audio} for Wireshark or sngrep; everything as UDP, whatever carried it
record.json      the record of the call
events.json      what happened in it, in order
statistics.json  how its audio was
{recording}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceDesk:
    """What the routes about traces work on.

    Attributes:
        ring: the messages; None where they are not kept.
        captures: the audio packets.
    """

    ring: TraceRing | None
    captures: Captures

    def messages(self, call_id: str) -> tuple[Traced, ...]:
        """Give the messages of a call and of the calls on its behalf, in order, secrets hidden."""
        if self.ring is None:
            return ()
        return tuple(each._replace(data=masked(each.data)) for each in self.ring.of_owner(call_id))

    def why_none(self) -> str:
        """Say why there are no messages of a call that was there."""
        return _NO_RING if self.ring is None else _TOO_LATE

    def pcap(self, messages: Sequence[Traced], packets: Sequence[CapturedPacket] = ()) -> bytes:
        """Write messages and audio packets as a capture file."""
        near = next((each.hop.local_host for each in messages if each.hop.local_host not in _ANY), "")
        return write_pcap([*from_trace(messages), *(_datagram(packet, near) for packet in packets)])


def _datagram(packet: CapturedPacket, near_host: str) -> Datagram:
    """Write our address as the far end sees it, where the socket does not say."""
    host = near_host if packet.near[0] in _ANY and near_host else packet.near[0]
    near, far = (host, packet.near[1]), (packet.far[0], packet.far[1])
    source, target = (near, far) if packet.sent else (far, near)
    return Datagram(packet.at, source, target, packet.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one call.

    Attributes:
        record: of the call; of a live one as it is now.
        history: what happened.
        messages: secrets hidden.
        pcap: the capture file.
        statistics: every counter of its audio, or what the record has of them.
        has_audio: whether the capture file has audio packets.
        recording: path of the recording; None for none, or where the reader may not have it.
    """

    record: CallRecord
    history: Sequence[Happening]
    messages: Sequence[Traced]
    pcap: bytes
    statistics: dict[str, Any]
    has_audio: bool = False
    recording: Path | None = None

    def bundle(self, *, why_none: str = "") -> bytes:
        """Write it as one zip file. Reads the recording, so it is not for the event loop."""
        call_id, at = self.record.id, datetime.now(UTC).isoformat(timespec="seconds")
        recording = f"recording{self.recording.suffix}    both voices\n" if self.recording is not None else ""
        audio = " and the audio packets" if self.has_audio else ""
        files = {
            "README.txt": _README.format(version=__version__, call_id=call_id, at=at, audio=audio, recording=recording),
            "ladder.txt": (draw(self.messages) if self.messages else why_none) + "\n",
            "messages.txt": written(self.messages),
            "record.json": _pretty(json.loads(to_json(self.record))),
            "events.json": _pretty([_line(each) for each in self.history]),
            "statistics.json": _pretty(self.statistics),
        }
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(f"call-{call_id}/{name}", text)
            archive.writestr(f"call-{call_id}/call.pcap", self.pcap)
            if self.recording is not None and self.recording.is_file():
                archive.write(self.recording, f"call-{call_id}/recording{self.recording.suffix}")
        return out.getvalue()


async def gather(desk: CallDesk, traces: TraceDesk, call_id: str, *, may_hear: bool) -> Evidence:
    """Gather what is known of a call.

    Args:
        desk: of calls.
        traces: of messages and packets.
        call_id: which.
        may_hear: whether the reader may have recordings and audio packets.

    Raises:
        NotFound: there is no such call.
    """
    record = (await desk.find(call_id)).record
    messages, packets = traces.messages(call_id), traces.captures.of(call_id) if may_hear else ()
    recording = Path(record.recording) if may_hear and record.recording and record.ending is not None else None
    return Evidence(
        record=record,
        history=await desk.history(call_id),
        messages=messages,
        pcap=traces.pcap(messages, packets),
        statistics=_statistics(desk, record),
        has_audio=bool(packets),
        recording=recording,
    )


def written(messages: Sequence[Traced]) -> str:
    """Write messages in full, each below a line that says when, which way and where."""
    parts = []
    for each in messages:
        at = datetime.fromtimestamp(each.at, UTC).isoformat(timespec="microseconds")
        text = each.data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
        plain = "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)
        parts.append(f"--- {at} {'to' if each.sent else 'from'} {each.hop}\n{plain.rstrip()}\n")
    return "\n".join(parts)


def _statistics(desk: CallDesk, record: CallRecord) -> dict[str, Any]:
    call = desk.switchboard.calls.get(record.id)
    now = call.statistics if call is not None else None
    quality = record.quality._asdict() if record.quality is not None else None
    return {"codec": record.codec, "quality": quality, "counters": asdict(now) if now is not None else None}


def _line(happening: Happening) -> dict[str, object]:
    return {"at": happening.at.isoformat(), "name": happening.name, "details": dict(happening.details)}


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
