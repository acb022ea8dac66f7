import pytest

from sipflow.calls.transfer.request import TransferRequest, read_targets
from sipflow.calls.transfer.targets import Target
from sipflow.errors import LocalProtocolError

ONE = read_targets("+12065550100")


def test_one_target_or_several_are_read_and_phone_books_are_left_for_later() -> None:
    assert read_targets(["200", "phonebook:desk/2"]) == (
        Target("200", "200", False),
        Target("phonebook:desk/2", "phonebook:desk/2", False),
    )
    assert read_targets("(206) 555-0100", region="US") == (Target("(206) 555-0100", "+12065550100", True),)


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"targets": ()}, "target"),
        ({"targets": ONE * 33}, "target"),
        ({"mode": "cold"}, "mode"),
        ({"mode": "blind", "accept": "digit"}, "mode"),
        ({"mode": "warm", "accept": "12"}, "accept"),
        ({"ring_s": 0}, "ring_s"),
        ({"ring_s": float("nan")}, "ring_s"),
        ({"accept_s": 4000}, "accept_s"),
        ({"whisper_pause_s": 61}, "whisper_pause_s"),
        ({"extension": "x"}, "extension"),
        ({"headers": {"Via": "x"}}, "headers"),
        ({"caller_id": "\n"}, "caller_id"),
    ],
)
def test_each_wish_that_cannot_be_met_is_told_with_its_field(wishes: dict[str, object], field: str) -> None:
    with pytest.raises(LocalProtocolError) as error:
        TransferRequest(**({"targets": ONE} | wishes))  # type: ignore[arg-type]
    assert str(error.value).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("accept", "key", "patience_s"), [(None, "", 120.0), ("digit", "1", 20.0), ("#", "#", 20.0), (print, "", 120.0)]
)
def test_what_accepts_has_its_key_and_its_time(accept: object, key: str, patience_s: float) -> None:
    request = TransferRequest(targets=ONE, mode="warm", accept=accept)  # type: ignore[arg-type]
    assert (request.key, request.patience_s) == (key, patience_s)
