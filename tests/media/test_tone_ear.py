from sipflow.audio.tones import dtmf_pcm
from sipflow.media.tone_ear import ToneEar


def hear(ear: ToneEar, pcm: bytes, size: int) -> None:
    for at in range(0, len(pcm), size):
        ear.put(pcm[at : at + size])


def test_each_digit_is_told_once_at_whatever_rate_it_comes() -> None:
    digits: list[str] = []
    ear = ToneEar(digits.append, 8000)
    hear(ear, dtmf_pcm("1*"), 320)
    ear.switch(16000)
    hear(ear, dtmf_pcm("D", sample_rate_hz=16000), 640)
    ear.end()

    assert digits == ["1", "*", "D"]
