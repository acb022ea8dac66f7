from sipflow.calls.stats import CallStats
from sipflow.media.statistics import MediaStatistics
from sipflow.testing import FakeCall
from sipflow.testing.fake_call import run


def test_what_concerns_an_agent_is_taken_from_the_stream() -> None:
    media = MediaStatistics(
        codec="PCMA", packets_sent=1, packets_received=2, lost=3, late=4, duplicates=5, strays=6, jitter_ms=7.5,
        played_ms=8, skipped_ms=9, digits_received=10, jitter_buffer_ms=40.5, concealed_ms=60, unauthentic=12,
        remote_lost=13, remote_jitter_ms=1.5, round_trip_ms=80.0, opinion=4.2,
    )  # fmt: skip

    assert CallStats.of(media, ptime_ms=30, queued_ms=11) == CallStats(
        codec="PCMA", ptime_ms=30, packets_sent=1, packets_received=2, lost=3, late=4, duplicates=5, strays=6,
        jitter_ms=7.5, played_ms=8, queued_ms=11, skipped_ms=9, digits_received=10, jitter_buffer_ms=40.5,
        concealed_ms=60, unauthentic=12, remote_lost=13, remote_jitter_ms=1.5, rtt_ms=80.0, mos=4.2,
    )  # fmt: skip


async def test_a_call_has_figures_before_its_media_and_after_its_end() -> None:
    call = FakeCall(patience_s=1.0)
    call_without = FakeCall()
    call_without.media = None
    before = call.stats

    async def agent(_: object) -> None:
        await call.answer()
        await call.play(bytes(1600))

    await run(agent, call)

    assert (call_without.stats, call_without.statistics) == (CallStats(), None)
    assert (before.codec, before.ptime_ms, before.played_ms) == ("PCMU", 0, 0)
    assert (call.stats.ptime_ms, call.stats.played_ms, call.stats.packets_sent) == (20, 100, 5)
