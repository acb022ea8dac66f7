"""What went wrong with descriptions of media elsewhere: two streams on one port, keys in a plain profile, addresses."""

import pytest

from sipflow.sdp.offer_answer import answer_offer
from tests.sdp.test_offer_answer import ALL
from tests.sdp.test_securing import OPTIONAL, OURS, REQUIRED, SUITE, crypto, offer, secured


def streams(body: bytes) -> list[str]:
    return [line for line in body.decode().split("\r\n") if line.startswith("m=")]


@pytest.mark.parametrize("first", ["RTP/SAVP", "RTP/AVP"])
def test_two_m_lines_savp_and_avp_on_one_port_siphon_rs_84(first: str) -> None:
    keys = (crypto(),)
    second = "RTP/AVP" if first == "RTP/SAVP" else "RTP/SAVP"
    lines = (*keys, f"m=audio 4000 {second} 0") if first == "RTP/SAVP" else (f"m=audio 4000 {second} 0", *keys)
    both = offer(*lines, protocol=first)

    encrypted, agreed = answer_offer(both, OURS, OPTIONAL)
    assert sorted(streams(encrypted)) == ["m=audio 0 RTP/AVP 0", "m=audio 10000 RTP/SAVP 0"]
    assert agreed.srtp is not None

    plain, agreed = answer_offer(both, OURS, ALL)
    assert sorted(streams(plain)) == ["m=audio 0 RTP/SAVP 0", "m=audio 10000 RTP/AVP 0"]
    assert agreed.srtp is None


@pytest.mark.parametrize("capabilities", [OPTIONAL, REQUIRED])
def test_rtp_avp_and_a_crypto_offers_siphon_ai_422(capabilities: object) -> None:
    answer, agreed = answer_offer(offer(crypto(7), protocol="RTP/AVP"), OURS, capabilities)  # type: ignore[arg-type]

    assert secured(answer)[0] == "RTP/AVP"  # the profile of the offer (RFC 3264 §6.1), with a key of ours
    assert secured(answer)[1].startswith(f"a=crypto:7 {SUITE} ")
    assert agreed.srtp is not None


def test_media_level_c_livekit_sip_345() -> None:
    bodies = offer("c=IN IP4 198.51.100.9", protocol="RTP/AVP"), offer(protocol="RTP/AVP")

    assert [answer_offer(body, OURS, ALL)[1].remote_host for body in bodies] == ["198.51.100.9", "192.0.2.1"]
