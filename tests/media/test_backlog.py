import numpy as np
import pytest

from sipflow.audio.tones import sine
from sipflow.media.backlog import Backlog


def drain(backlog: Backlog, rate_hz: int) -> bytes:
    out = b""
    while backlog.bytes:
        out += backlog.take(rate_hz)
    return out


@pytest.mark.parametrize(("before_hz", "after_hz"), [(8000, 16000), (16000, 8000), (48000, 8000), (8000, 48000)])
@pytest.mark.parametrize("piece_ms", [7, 20, 3000])
def test_chunks_join_without_a_seam_whatever_the_pieces(before_hz: int, after_hz: int, piece_ms: int) -> None:
    tone = sine(400, 3000, level_dbfs=-10.0, sample_rate_hz=before_hz)
    step = before_hz * piece_ms // 1000 * 2
    backlog = Backlog()
    backlog.retune([tone[at : at + step] for at in range(0, len(tone), step)], before_hz, after_hz * 3 * 2)
    chunks = []
    while backlog.bytes:
        chunks.append(backlog.take(after_hz))
    out = np.frombuffer(b"".join(chunks), "<i2").astype(int)
    expected = np.frombuffer(sine(400, 3000, level_dbfs=-10.0, sample_rate_hz=after_hz), "<i2").astype(int)

    assert len(out) == 3 * after_hz
    assert max(map(len, chunks)) <= after_hz + 2
    assert np.abs(out - expected)[after_hz // 50 : -after_hz // 50].max() < 60


def test_what_comes_at_the_new_rate_goes_as_it_is_after_what_waited() -> None:
    backlog = Backlog()
    backlog.retune([bytes(1600)], 8000, 3200)
    backlog.put(b"\x05\x00" * 320, 16000, 640)

    out = drain(backlog, 16000)
    assert (len(out), out[3200:], backlog.bytes) == (3840, b"\x05\x00" * 320, 0)


def test_going_back_gives_what_there_was() -> None:
    tone = sine(400, 1000, level_dbfs=-10.0)
    backlog = Backlog()
    backlog.retune([tone], 8000, 32000)
    backlog.retune([], 16000, 16000)

    assert drain(backlog, 8000) == tone


def test_clear_drops_everything() -> None:
    backlog = Backlog()
    backlog.retune([bytes(1600)], 8000, 3200)
    backlog.clear()

    assert backlog.bytes == 0
