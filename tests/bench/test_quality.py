"""The figure of quality in miniature: that speech gets through, and what the prepared network does to it."""

import os

import pytest

from sipflow.audio.codecs.g711 import decode_ulaw
from tests.bench import quality
from tests.bench.programs import MissingProgram, find
from tests.interop.programs import missing


def needs(program: str, package: str) -> None:
    """Skip the test, or fail it where CI=true, without a program."""
    try:
        find(program)
    except MissingProgram as error:
        missing(f"{error} (Debian package {package})")


def test_a_network_without_faults_carries_every_packet_at_its_time() -> None:
    said = bytes(range(160)) * 50
    packets = quality.capture(said, quality.Network())

    assert len(packets) == 24 + 50 * (16 + 14 + 20 + 8 + 12 + 160)
    assert packets.count(bytes(range(160))) == 50


def test_a_bad_network_loses_its_share_and_puts_packets_out_of_order() -> None:
    said = b"".join(number.to_bytes(2, "big") * 80 for number in range(2000))
    packets = quality.capture(said, quality.BAD)
    records = range(24, len(packets), 16 + 14 + 20 + 8 + 12 + 160)
    order = [int.from_bytes(packets[at + 70 : at + 72], "big") for at in records]

    assert len(order) == pytest.approx(1900, abs=40)
    assert order != sorted(order)
    assert sorted(set(order)) == sorted(order)


def test_speech_is_heard_bit_by_bit_when_nothing_is_lost() -> None:
    needs("espeak-ng", "espeak-ng")
    needs("sipp", "sip-tester")
    if os.geteuid():
        pytest.skip("SIPp plays prepared packets as root only")
    said = quality.speech((("en-us", "Hello there."),))
    tries = (quality.heard(said, quality.Network(), "keep") for _ in range(3))  # stalls lose some

    assert any(decode_ulaw(said).strip(b"\0") in heard for heard in tries)
