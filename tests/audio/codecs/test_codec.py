from sipflow.audio.codecs import OPUS_CODEC, PCMA_CODEC, find_codec


def test_a_codec_of_one_rate_stays_what_it_is() -> None:
    assert PCMA_CODEC.at(16000) is PCMA_CODEC


def test_payloads_of_fixed_size_tell_their_time_by_it() -> None:
    assert PCMA_CODEC.payload_ms(bytes(240)) == 30.0
    assert find_codec("L16", 24000).payload_ms(bytes(960)) == 20.0


def test_a_payload_that_belongs_to_no_stream_is_decoded_as_the_first_of_one() -> None:
    pcm = bytes(range(256)) * 5
    packet = OPUS_CODEC.encode(pcm[:640])

    assert OPUS_CODEC.decode(packet) == OPUS_CODEC.new_decoder().decode(packet)
    assert packet == OPUS_CODEC.new_encoder(ptime_ms=20).encode(pcm[:640])
