"""The shapes of the question why."""

import pytest
from pydantic import ValidationError

from sipflow.api.models.explain import AskWhy, Why
from sipflow.calls.explain import Explanation, Part, Step


@pytest.mark.parametrize("said", [{}, {"to": "1", "invite": "2"}, {"to": "1", "invite": "2", "call_id": "3"}])
def test_a_question_is_about_one_call(said: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="say one of to, invite and call_id"):
        AskWhy(**said)


def test_an_explanation_is_written_down_whole() -> None:
    found = Explanation(
        404, "no such number", (Step(Part.NUMBER, "no such number", False),), "pbx", "+1", "desk", "PCMU"
    )

    assert Why.of(found).model_dump() == {
        "answered": False,
        "status": 404,
        "why": "no such number",
        "trunk": "pbx",
        "number": "+1",
        "agent": "desk",
        "codec": "PCMU",
        "steps": [{"part": "number", "text": "no such number", "good": False}],
    }
