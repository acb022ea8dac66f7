import pytest

from sipflow.calls.leg import RATES_HZ, checked_rate
from sipflow.errors import LocalProtocolError
from sipflow.testing import FakeCall


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_rates_that_agents_can_have(rate_hz: int) -> None:
    assert checked_rate(rate_hz) == rate_hz


@pytest.mark.parametrize("rate_hz", [0, 11025, 44100, -8000, 16000.5])
def test_other_rates_are_refused_with_those_there_are(rate_hz: int) -> None:
    with pytest.raises(LocalProtocolError, match="8000, 16000, 24000 or 48000"):
        checked_rate(rate_hz)


async def test_the_rate_can_be_set_until_audio_is_used() -> None:
    call = FakeCall()
    assert call.sample_rate_hz == 8000
    call.sample_rate_hz = 16000
    await call.answer()
    call.sample_rate_hz = 24000
    reader = call.audio

    with pytest.raises(LocalProtocolError, match=r"audio is in use at 24000 Hz already.*call\.frames"):
        call.sample_rate_hz = 16000
    call.sample_rate_hz = 24000
    assert call.sample_rate_hz == 24000
    reader.close()


async def test_a_rate_asked_for_once_does_not_settle_the_calls() -> None:
    call = FakeCall()
    await call.answer()
    call.frames(sample_rate_hz=48000).close()
    call.write(bytes(320), sample_rate_hz=16000)

    call.sample_rate_hz = 16000
    with pytest.raises(LocalProtocolError, match="44100"):
        call.frames(sample_rate_hz=44100)


async def test_without_audio_there_is_a_sentence() -> None:
    call = FakeCall()
    for use in (lambda: call.audio, lambda: call.write(b""), call.clear, call.pause, call.resume):
        with pytest.raises(LocalProtocolError, match="there is no audio yet: answer the call first"):
            use()

    assert (call.queued_ms, call.played_ms, call.paused, call.held) == (0, 0, False, False)
