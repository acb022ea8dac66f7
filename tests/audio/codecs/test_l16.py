import pytest

from sipflow.audio.codecs.l16 import decode_l16, encode_l16
from sipflow.errors import MediaError, RemoteProtocolError


def test_samples_stand_in_network_byte_order() -> None:
    assert encode_l16(b"\x34\x12\xfe\xff") == b"\x12\x34\xff\xfe"
    assert decode_l16(b"\x12\x34\xff\xfe") == b"\x34\x12\xfe\xff"
    assert (encode_l16(b""), decode_l16(b"")) == (b"", b"")


def test_half_a_sample_from_the_peer_is_the_peers_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="L16 of 3 octets: not whole samples"):
        decode_l16(b"abc")


def test_half_a_sample_of_ours_cannot_be_encoded() -> None:
    with pytest.raises(MediaError, match="3 bytes are not whole 16-bit samples"):
        encode_l16(b"abc")
