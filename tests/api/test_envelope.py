import pytest
from pydantic import ValidationError

from sipflow.api.envelope import Answer, Ask, Done, Enveloped, ErrorAnswer
from tests.api.stage import Stage


class Fields(Ask):
    password: int


class Key(Answer):
    key: str


def test_an_answer_is_in_the_envelope_of_the_reference() -> None:
    assert Enveloped(response=Key(key="1")).model_dump() == {"status": "ok", "response": {"key": "1"}}
    assert Done().model_dump() == {"status": "ok"}


def test_a_request_may_have_fields_that_we_do_not_know_and_is_never_quoted() -> None:
    assert Fields.model_validate({"password": 1, "more": 2}) == Fields(password=1)
    with pytest.raises(ValidationError) as refusal:
        Fields.model_validate({"password": "a secret"})
    assert "a secret" not in str(refusal.value)


def test_an_answer_has_no_fields_but_its_own() -> None:
    with pytest.raises(ValidationError):
        Key.model_validate({"key": "1", "secret": "2"})


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"offset": 2**31}, {"limit": "x"}])
async def test_pages_have_bounds(api: Stage, params: dict[str, object]) -> None:
    answer = await api.client.get("/v2/numbers", params=params)  # type: ignore[arg-type]

    assert answer.status_code == 400
    assert ErrorAnswer.model_validate(answer.json()).detail.description.startswith(next(iter(params)) + ": ")
