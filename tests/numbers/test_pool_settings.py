import pytest

from sipflow.errors import LocalProtocolError
from sipflow.numbers.pool_settings import Member, PoolSettings


@pytest.mark.parametrize(
    ("given", "strategy"),
    [
        ("sticky", ("sticky", "least_recently_used")),
        ("same_area", ("same_area", "same_country", "round_robin")),
        ("same_country", ("same_country", "round_robin")),
        ("weighted", ("weighted",)),
    ],
)
def test_one_word_stands_for_a_whole_strategy(given: str, strategy: tuple[str, ...]) -> None:
    assert PoolSettings("sales", (given,)).strategy == strategy


def test_equals_take_turns_where_nothing_else_is_said() -> None:
    settings = PoolSettings("sales", ("sticky", "same_area"))

    assert (settings.strategy, settings.order) == (("sticky", "same_area", "round_robin"), "round_robin")


@pytest.mark.parametrize(
    "strategy", [("fair",), ("round_robin", "sticky"), ("sticky", "sticky"), ("weighted", "round_robin")]
)
def test_a_strategy_that_means_nothing_is_refused_by_name(strategy: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError, match=r"^strategy: "):
        PoolSettings("sales", strategy)


@pytest.mark.parametrize("fields", [{"weight": 0.0}, {"weight": 2e6}])
def test_a_weight_that_means_nothing_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError, match=r"^weight: "):
        Member("a", **fields)  # type: ignore[arg-type]


def test_a_pool_must_remember_somebody() -> None:
    with pytest.raises(LocalProtocolError, match=r"^remember: "):
        PoolSettings("sales", remember=0)
