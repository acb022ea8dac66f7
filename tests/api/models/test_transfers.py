import pytest
from pydantic import ValidationError

from sipflow.api.models.transfers import TransferCall

ONE = {"phone": "+12065550177"}


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ({}, "blind"),
        ({"transfer_mode": "cold_transfer"}, "blind"),
        ({"transfer_mode": "warm_transfer"}, "warm"),
        ({"transfer_mode": "warm_transfer_with_context"}, "warm"),
        ({"mode": "attended"}, "attended"),
        ({"screened": True}, "warm"),
        ({"whisper": "hello.wav"}, "warm"),
    ],
)
def test_the_mode_is_said_in_two_vocabularies_or_follows_from_what_is_asked(said: dict[str, object], mode: str) -> None:
    assert TransferCall.model_validate(ONE | said).wanted_mode == mode


def test_the_fields_of_the_reference_mean_ours() -> None:
    wanted = TransferCall.model_validate(
        ONE
        | {
            "timeout": 25,
            "digits": "ww12",
            "preserve_caller_id": True,
            "screened": True,
            "phone_book_id": "b-1",
            "human_availability": {
                "timezone": "Europe/Berlin",
                "active": True,
                "schedule": [{"weekday": "monday", "interval": [{"from": "09:00", "to": "17:00"}]}],
            },
            "stop_recording_after_transfer": True,
            "something_new": 1,
        }
    )

    assert wanted.targets == ["+12065550177", "phonebook:b-1"]
    assert (wanted.key, wanted.shown, wanted.timeout) == ("digit", "original", 25)
    assert wanted.hours is not None
    assert len(wanted.hours.openings) == 1


@pytest.mark.parametrize("wrong", [{"phone": ""}, {"timeout": 0}, {"accept": "12"}, {"target": ["x"] * 33}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TransferCall.model_validate(ONE | wrong)
