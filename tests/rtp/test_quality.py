import pytest

from sipflow.rtp.quality import mean_opinion, opinion, rating


@pytest.mark.parametrize(
    ("rating_factor", "score"),
    [(93.2, 4.41), (90, 4.34), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0), (100, 4.5), (-5, 1.0)],
)
def test_a_rating_is_the_score_of_g107_annex_b(rating_factor: float, score: float) -> None:
    assert mean_opinion(rating_factor) == pytest.approx(score, abs=0.01)


def test_g711_without_loss_and_delay_is_the_best_there_is() -> None:
    assert rating("PCMU", lost=0.0, one_way_ms=0.0) == 93.2
    assert opinion("pcma", lost=0.0, one_way_ms=20.0) == pytest.approx(4.40, abs=0.01)


def test_five_per_cent_of_loss_cost_what_g113_says_with_and_without_concealment() -> None:
    # Ie-eff = 95 * 5 / (5 + Bpl), Bpl 25.1 with concealment and 4.3 without
    assert rating("PCMU", lost=0.05, one_way_ms=0.0) == pytest.approx(93.2 - 15.78, abs=0.01)
    assert rating("PCMU", lost=0.05, one_way_ms=0.0, concealed=False) == pytest.approx(93.2 - 51.08, abs=0.01)


def test_delay_costs_little_until_people_talk_into_each_other() -> None:
    assert 93.2 - rating("PCMU", lost=0.0, one_way_ms=150.0) == pytest.approx(3.6)
    assert 93.2 - rating("PCMU", lost=0.0, one_way_ms=400.0) == pytest.approx(9.6 + 0.11 * 222.7)


def test_more_loss_and_more_delay_never_sound_better() -> None:
    for codec in ("PCMU", "OPUS", "G722", "anything"):
        losses = [opinion(codec, lost=share / 100, one_way_ms=50.0) for share in range(-1, 102)]
        delays = [opinion(codec, lost=0.0, one_way_ms=10.0 * step) for step in range(-1, 200)]
        assert losses == sorted(losses, reverse=True)
        assert delays == sorted(delays, reverse=True)
        assert 1.0 <= min(losses + delays) <= max(losses + delays) <= 4.5
