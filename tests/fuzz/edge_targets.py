"""Readers at the edges: the configuration, bots, telephone numbers, webhooks' answers, the journal."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipflow.agents.audiosocket_wire import Messages, encode
from sipflow.agents.stream.dialect import Dialect
from sipflow.agents.stream.framing import Deframer, Piece
from sipflow.agents.stream.jambonz import Jambonz
from sipflow.agents.stream.messages import Audio, Mark, Start
from sipflow.agents.stream.telnyx import Telnyx
from sipflow.agents.stream.twilio import Twilio
from sipflow.agents.stream.vonage import Vonage
from sipflow.audio.codecs.opus import Wishes
from sipflow.calls.transfer.extension import read_extension
from sipflow.calls.transfer.targets import read_target
from sipflow.config.load import parse
from sipflow.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from sipflow.net.settings import ListenAddress
from sipflow.numbers.number import guess, is_region, normalise
from sipflow.numbers.writing import FORMS, write
from sipflow.store.journal_lines import begun, saved
from sipflow.trunks.proxy import (
    parse_advertise,
    parse_origination_uri,
    parse_outbound_proxy,
    parse_sip_domain,
)
from sipflow.webhooks.exchange import Reply
from sipflow.webhooks.payloads import read_call_inbound
from sipflow.webhooks.reading import retry_after_s
from tests.fuzz import words
from tests.fuzz.target import Target, pieces, text_of

_NOWHERE = Path("/nonexistent")
_START = Start("c1", "+12065550199", "+12065550100")
_AT = datetime(2026, 11, 21, tzinfo=UTC)
_MOST_BYTES = 2048


def load_configuration(data: bytes) -> bool:
    """A configuration is used, or every mistake in it is a line that begins with its file."""
    text = text_of(data)
    try:
        parse(text, file="x.yaml", folder=_NOWHERE, environ={"NAME": "value"})
    except ConfigError as error:
        lines = str(error).split("\n")
        assert lines
        assert all(line.startswith("x.yaml") for line in lines), lines
        assert all(line.isprintable() for line in lines), lines
        return False
    return True


# The letter with which an input begins -> whose words the rest of it is in.
DIALECTS: dict[str, Callable[[], Dialect]] = {
    "t": lambda: Twilio(_START),
    "x": lambda: Telnyx(_START, began_at=_AT),
    "l": lambda: Telnyx(_START, codec="L16", sample_rate_hz=16000, began_at=_AT),
    "v": lambda: Vonage(_START),
    "j": lambda: Jambonz(_START),
}


def hear_bot(data: bytes) -> bool:
    """A bot's message is a refusal, or commands of which each can be obeyed and answered in JSON."""
    make = DIALECTS.get(text_of(data[:1]))
    if make is None:
        return False
    dialect, accepted = make(), False
    for read in (dialect.read_text, dialect.read_binary):
        try:
            commands = read(data[1:])
        except RemoteProtocolError as error:
            _written(dialect.refused(str(error)))
            continue
        accepted = True
        for command in commands:
            if isinstance(command, Audio):
                assert len(command.pcm) % 2 == 0
                assert 8000 <= command.sample_rate_hz <= 48000
            if isinstance(command, Mark):
                _written(dialect.marked(command, played=True))
    return accepted


def _written(message: str | None) -> None:
    if message is not None:
        json.loads(message)
        message.encode()


def cut_frames(data: bytes) -> bool:
    """The messages on a WebSocket do not depend on how TCP cuts them."""
    whole, cut = pieces(data)
    at_once = _joined(Deframer(max_message_bytes=_MOST_BYTES).feed(whole))
    deframer = Deframer(max_message_bytes=_MOST_BYTES)
    assert _joined([found for piece in cut for found in deframer.feed(piece)])[: len(at_once)] == at_once
    return any(first for _, first in at_once)


def _joined(found: list[Piece]) -> list[Piece]:
    """Whole messages; what is left to the library is one stream, wherever it was cut."""
    joined: list[Piece] = []
    for payload, first in found:
        if not first and joined and not joined[-1][1]:
            joined[-1] = (joined[-1][0] + payload, 0)
        else:
            joined.append((payload, first))
    return joined


def cut_audiosocket(data: bytes) -> bool:
    """The messages of an AudioSocket do not depend on how TCP cuts them, and written again are the same octets."""
    whole, cut = pieces(data)
    found = _messages([whole])
    assert _messages(cut) == found
    messages = [each for each in found if isinstance(each, tuple)]
    assert whole.startswith(b"".join(encode(*each) for each in messages))
    return bool(messages)


def _messages(cut: list[bytes]) -> list[object]:
    messages, found = Messages(), list[object]()
    try:
        for piece in cut:
            messages.feed(piece)
            while (message := messages.next()) is not None:
                found.append(message)
    except RemoteProtocolError as error:
        found.append(str(error))
    return found


def read_number(data: bytes) -> bool:
    """A number that was understood is understood the same again, and can be written in every form."""
    text = text_of(data)
    found = ""
    for region in (None, "US", "DE"):
        number = normalise(text, region=region)
        if number.startswith("+") and number[1:].isdecimal() and number != text:
            found = number
            assert normalise(number, region=region) == number
        for form in FORMS:
            write(number, form, region=region)
    meant = guess(text)
    assert meant is None or normalise(meant, region=None) == meant
    is_region(text)
    return bool(found or meant)


def read_field(data: bytes) -> bool:
    """What people write into a field is used, or refused in one sentence; what was read is read the same again."""
    text = text_of(data)
    accepted = False
    for reader in (parse_outbound_proxy, parse_sip_domain, parse_origination_uri, parse_advertise, ListenAddress.parse):
        read: Callable[[str], Any] = reader
        with suppress(LocalProtocolError):
            assert read(str(read(text))) == read(text)
            accepted = True
    for raw in (False, True):
        with suppress(LocalProtocolError):
            assert read_target(text, region="US", raw=raw).dial
    with suppress(LocalProtocolError):
        read_extension(text)
    Wishes.parse(text)
    return accepted


def read_webhook(data: bytes) -> bool:
    """An answer to a webhook steers the call, or is refused in words; Retry-After is seconds, or nothing."""
    pause_s = retry_after_s(Reply(status=503, headers=(("Retry-After", text_of(data[:60])),)), _AT)
    assert pause_s is None or pause_s >= 0
    try:
        steer = read_call_inbound(data)
    except RemoteProtocolError:
        return False
    assert all(isinstance(value, str) for value in steer.variables.values())
    json.dumps([dict(steer.variables), dict(steer.metadata)]).encode()
    return True


def read_journal(data: bytes) -> bool:
    """A line of the journal is a record, or it is passed over: the file may have been cut off anywhere."""
    line = data.split(b"\n")[0]
    record, over = begun(line), saved(line, 0)
    assert over is None or record is not None
    return record is not None


TARGETS = {
    "config": Target(load_configuration, words.YAML),
    "dialect": Target(hear_bot, words.JSON),
    "websocket": Target(cut_frames),
    "audiosocket": Target(cut_audiosocket),
    "number": Target(read_number, words.NUMBER, longest_bytes=300),
    "field": Target(read_field, words.FIELD, longest_bytes=512),
    "webhook": Target(read_webhook, words.JSON),
    "journal": Target(read_journal, words.JOURNAL),
}
