import time

import pytest
import structlog

from sipflow.net.trace import LogTracer, log_tracer, mask, masked
from sipflow.sip.hop import Hop


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            'Authorization: Digest username="2001", nonce="abc", response="0123456789abcdef", uri="sip:a"\r\n',
            'Authorization: Digest username="2001", nonce="abc", response=***, uri="sip:a"\r\n',
        ),
        (
            'Proxy-Authorization: Digest username="2001",\r\n\trealm="x",\r\n\tresponse = "beef"\r\nTo: <sip:b>\r\n',
            'Proxy-Authorization: Digest username="2001",\r\n\trealm="x",\r\n\tresponse = ***\r\nTo: <sip:b>\r\n',
        ),
        ("Authorization: Digest response=beef,qop=auth\r\n", "Authorization: Digest response=***,qop=auth\r\n"),
        ('Authentication-Info: rspauth="beef", nc=1\r\n', "Authentication-Info: rspauth=***, nc=1\r\n"),
        ("authorization : Basic YTpi\r\nTo: <sip:b>\r\n", "authorization : Basic ***\r\nTo: <sip:b>\r\n"),
        ("Authorization: Bearer a\r\n bc.de\r\nTo: <sip:b>\r\n", "Authorization: Bearer ***\r\nTo: <sip:b>\r\n"),
        ("Contact: <sip:alice:secret@192.0.2.1:5060>\r\n", "Contact: <sip:alice:***@192.0.2.1:5060>\r\n"),
        ("REGISTER SIPS:alice:p%40ss@example.com SIP/2.0", "REGISTER SIPS:alice:***@example.com SIP/2.0"),
        (
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32\r\n",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:hiddenhiddenhiddenhiddenhiddenhiddenhidd|2^20|1:32\r\n",
        ),
        ("k=base64:c2VjcmV0\r\nm=audio 1 RTP/AVP 0\r\n", "k=base64:***\r\nm=audio 1 RTP/AVP 0\r\n"),
        ("a=key-mgmt:mikey AQAFgM0X\r\n", "a=key-mgmt:mikey ***\r\n"),
        ("Contact: <sip:a@192.0.2.1:5060;transport=tcp>\r\n", "Contact: <sip:a@192.0.2.1:5060;transport=tcp>\r\n"),
        ("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"),
    ],
)  # fmt: skip
def test_what_would_let_a_reader_act_in_our_name_is_masked_and_the_rest_is_not(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("piece", ["sip:", "sip:a:", "response=", 'response="', "Authorization: ", "inline:", "a@:"])
def test_masking_hostile_text_takes_time_in_proportion(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        started = time.process_time()
        for _ in range(3):
            mask(text)
        return time.process_time() - started

    assert seconds(60_000) < 30 * seconds(6_000) + 0.05


def test_each_message_is_one_debug_line_without_its_secrets() -> None:
    hop = Hop("udp", "192.0.2.1", 5060)

    with structlog.testing.capture_logs() as lines:
        tracer = LogTracer()
        tracer.sent(b'ACK sip:a SIP/2.0\r\ni: 1@b\r\nAuthorization: Digest response="beef"\r\n\r\n', hop)
        tracer.received(b"\xff", hop)

    assert lines == [
        {
            "event": "sip sent",
            "log_level": "debug",
            "hop": "udp:192.0.2.1:5060",
            "size_bytes": 68,
            "message": "ACK sip:a SIP/2.0\r\ni: 1@b\r\nAuthorization: Digest response=***\r\n\r\n",
            "call_id": "1@b",
        },
        {
            "event": "sip received",
            "log_level": "debug",
            "hop": "udp:192.0.2.1:5060",
            "size_bytes": 1,
            "message": "\\xff",
        },
    ]


@pytest.mark.parametrize(("level", "traced"), [(10, True), (20, False), (30, False)])
def test_messages_are_traced_only_if_debug_lines_are_written(level: int, traced: bool) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))

    assert (log_tracer() is not None) is traced


def test_a_program_that_never_configured_logging_prints_no_messages() -> None:
    structlog.reset_defaults()

    assert log_tracer() is None


def test_digits_in_info_are_hidden_in_both_of_their_forms() -> None:
    head = "INFO sip:a@b SIP/2.0\r\nContent-Type: application/{}\r\n\r\n"
    relay, plain = head.format("dtmf-relay") + "Signal= 5\r\nDuration= 160\r\n", head.format("dtmf") + "#\r\n"

    assert mask(relay) == head.format("dtmf-relay") + "Signal= ***\r\nDuration= 160\r\n"
    assert mask(plain) == head.format("dtmf") + "***"


def test_a_message_that_is_no_text_keeps_all_octets_that_are_not_secret() -> None:
    assert masked(b"\xff\xfe <sip:a:secret@b>\x00") == b"\xff\xfe <sip:a:***@b>\x00"
