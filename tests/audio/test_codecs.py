import pytest

from sipflow.audio.codecs import PCMA_CODEC, PCMU_CODEC, AudioCodec, find_codec
from sipflow.errors import MediaError


def test_codecs_are_found_by_their_sdp_name_in_any_case() -> None:
    assert [find_codec("pcmu"), find_codec("PCMA", 8000)] == [PCMU_CODEC, PCMA_CODEC]


@pytest.mark.parametrize(("name", "rate"), [("G729", 8000), ("PCMU", 16000), ("", 8000)])
def test_a_codec_that_is_not_there_is_named_with_those_that_are(name: str, rate: int) -> None:
    with pytest.raises(MediaError) as caught:
        find_codec(name, rate)

    assert str(caught.value) == f"no codec {name}/{rate}: sipflow has PCMU/8000, PCMA/8000"


@pytest.mark.parametrize(
    ("codec", "octet", "sample"), [(PCMU_CODEC, b"\xff", b"\0\0"), (PCMA_CODEC, b"\xd5", b"\x08\0")]
)
def test_silence_is_the_smallest_value_of_the_codec(codec: AudioCodec, octet: bytes, sample: bytes) -> None:
    assert codec.silence(20) == 160 * octet
    assert codec.decode(codec.silence(20)) == 160 * sample
    assert codec.encode(bytes(320)) == 160 * octet
