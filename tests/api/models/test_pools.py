import pytest
from pydantic import ValidationError

from sipflow.api.models.pools import ChangePool, CreatePool, PoolNumber


def test_a_number_may_be_its_text_and_a_strategy_one_word() -> None:
    pool = CreatePool.model_validate(
        {"name": "p", "strategy": "weighted", "numbers": ["+12065550100", {"phone_number": "200", "weight": 2}]}
    )

    assert (pool.strategy, pool.numbers) == (
        ["weighted"],
        [PoolNumber(phone_number="+12065550100"), PoolNumber(phone_number="200", weight=2.0)],
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "p"},
        {"name": "p q", "numbers": ["200"]},
        {"name": "p", "numbers": "200"},
        {"name": "p", "numbers": [{"weight": 1}]},
        {"name": "p", "numbers": ["2\n00"]},
        {"name": "p", "numbers": ["200"], "calls_per_second": float("nan")},
    ],
)
def test_what_is_no_pool_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CreatePool.model_validate(wrong)


def test_what_a_change_leaves_out_is_not_set() -> None:
    assert ChangePool.model_validate({"max_calls": None}).model_fields_set == {"max_calls"}
