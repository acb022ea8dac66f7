import gc
import weakref

import pytest

from sipflow.audio.codecs import libopus
from sipflow.audio.codecs.libopus import DecoderState, EncoderState, first_of, load
from sipflow.errors import MediaError


def test_libopus_is_found_and_tells_its_version() -> None:
    library = load()

    assert library is not None
    assert library.version.startswith("libopus 1.")
    assert load() is library


def test_what_is_not_there_or_something_else_is_passed_over() -> None:
    found = load()
    assert found is not None

    assert first_of(["no-such-library.so", "libm.so.6"]) is None
    assert first_of(["no-such-library.so", "libm.so.6", found.library._name]) is not None


def test_a_setting_that_libopus_does_not_know_is_refused() -> None:
    with pytest.raises(MediaError, match="Opus setting 4010 cannot be 11: invalid argument"):
        EncoderState(16000).set(libopus.SET_COMPLEXITY, 11)
    with pytest.raises(MediaError, match="Opus setting 1 cannot be 0: request not implemented"):
        EncoderState(16000).set(1, 0)


@pytest.mark.parametrize("samples", [0, -1, 1921, 10**9])
def test_no_more_is_made_up_than_there_is_room_for(samples: int) -> None:
    with pytest.raises(MediaError, match=f"{samples} samples are no Opus packet"):
        DecoderState(16000).make_up(samples)


def test_what_cannot_be_made_up_is_an_error() -> None:
    with pytest.raises(MediaError, match="Opus cannot make up 17 samples: invalid argument"):
        DecoderState(16000).make_up(17)


def test_the_longest_packet_has_room() -> None:
    state = DecoderState(48000)

    assert len(state.decode(b"\x83\x30")) == 2 * 5760
    with pytest.raises(MediaError, match="not an Opus packet: corrupted stream"):
        state.decode(b"\x83\x31")


def test_memory_goes_with_the_coder() -> None:
    encoder, decoder = EncoderState(16000), DecoderState(16000)
    memory = [weakref.ref(state._state) for state in (encoder, decoder)]
    assert None not in [each() for each in memory]

    del encoder, decoder
    gc.collect()

    assert [each() for each in memory] == [None, None]
