from sipflow.sdp.agreement import PCMU, Capabilities, Codec
from sipflow.sdp.codecs import G722, L16_16000, OPUS
from sipflow.sdp.offer_answer import PCMA, answer_offer, make_offer, read_answer
from tests.sdp.test_offer_answer import ALL, BROWSER, OURS, PBX


def test_digits_are_offered_with_every_clock_of_the_codecs() -> None:
    wide = Capabilities((OPUS, G722, PCMU, L16_16000))

    assert make_offer(OURS, wide).decode().split("\r\n")[5:-1] == [
        "m=audio 10000 RTP/AVP 111 9 0 116 101 96 97",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:116 L16/16000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=rtpmap:96 telephone-event/16000",
        "a=fmtp:96 0-16",
        "a=rtpmap:97 telephone-event/48000",
        "a=fmtp:97 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "a=rtcp:10001",
    ]
    assert "m=audio 10000 RTP/AVP 111 101\r\n" in make_offer(OURS, Capabilities((OPUS,))).decode()


def test_a_later_offer_numbers_opus_and_its_digits_as_the_peer_did() -> None:
    capabilities = Capabilities((OPUS, PCMU))
    answer, _ = answer_offer(BROWSER.replace(b":111 ", b":101 ").replace(b" 111 ", b" 101 "), OURS, capabilities)
    later = make_offer(OURS.revised(), capabilities, after=answer).decode().split("\r\n")

    assert later[5:13] == [
        "m=audio 10000 RTP/AVPF 101 0 96 110",
        "a=rtpmap:101 opus/48000/2",
        "a=fmtp:101 minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:96 telephone-event/8000",
        "a=fmtp:96 0-16",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:110 0-16",
    ]


def test_a_later_offer_gives_no_number_another_meaning() -> None:
    offer = PBX.replace(b" 18 8 0 101", b" 101").replace(b"rtpmap:101 telephone-event", b"rtpmap:101 PCMA")
    answer, _ = answer_offer(offer, OURS, ALL)
    later = make_offer(OURS.revised(), ALL, after=answer)
    agreed = read_answer(PBX.replace(b" 18 8 0 101", b" 101 96").replace(b":8 ", b":101 "), OURS, ALL, offer=later)

    assert later.decode().split("\r\n")[5:9] == [
        "m=audio 10000 RTP/AVP 0 101 96",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 PCMA/8000",
        "a=rtpmap:96 telephone-event/8000",
    ]
    assert (agreed.codec, agreed.receive_payload_type, agreed.telephone_event_receive) == (PCMA, 101, 96)


def test_an_answer_may_number_our_codecs_anew() -> None:
    gsm = Codec("GSM-EFR", 8000, payload_type=97)
    answer = PBX.replace(b" 18 8 0 101", b" 120").replace(b"a=rtpmap:18 G729", b"a=rtpmap:120 GSM-EFR")

    agreed = read_answer(answer, OURS, Capabilities((PCMU, gsm)))

    assert (agreed.codec, agreed.send_payload_type, agreed.receive_payload_type) == (gsm, 120, 97)


def test_a_later_offer_after_a_description_without_media_has_its_audio() -> None:
    assert make_offer(OURS, ALL, after=b"v=0\r\n") == make_offer(OURS, ALL)
