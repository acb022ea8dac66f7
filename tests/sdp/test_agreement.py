from sipflow.sdp.agreement import PCMA, PCMU, Capabilities, Codec, LocalMedia
from sipflow.sdp.attributes import SENDONLY, SENDRECV

OURS = LocalMedia("192.0.2.9", 10000, 10001, session_id=77, version=1)


def test_a_codec_is_named_as_an_rtpmap_names_it() -> None:
    assert [codec.rtpmap for codec in (PCMU, Codec("opus", 48000, 2))] == ["PCMU/8000", "opus/48000/2"]


def test_a_trunk_allows_both_laws_and_digits_unless_told_otherwise() -> None:
    assert Capabilities() == Capabilities((PCMU, PCMA), 101, 20, own_order=False, rtcp_mux=True)


def test_a_revised_end_has_the_next_version_and_keeps_the_rest() -> None:
    held = OURS.revised(SENDONLY)

    assert held == LocalMedia("192.0.2.9", 10000, 10001, 77, 2, SENDONLY)
    assert held.revised() == LocalMedia("192.0.2.9", 10000, 10001, 77, 3, SENDONLY)
    assert held.revised(SENDRECV).direction is SENDRECV
