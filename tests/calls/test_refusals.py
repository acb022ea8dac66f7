"""The log lines of what was refused before it was a call."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from sipflow.calls.refusals import log_refused
from sipflow.sip.message import Request
from sipflow.sip.outputs import Refused
from tests.calls.test_explain import FROM_A, STRANGER, explainer, invite


def logged(request: Request | None, status: int, why: str, hop: object = FROM_A) -> dict[str, Any]:
    with capture_logs() as lines:
        log_refused(Refused(request, hop, status, why), explainer()._keeper)  # type: ignore[arg-type]
    (line,) = lines
    return dict(line)


def test_refused_call_is_logged_with_every_step_to_it() -> None:
    line = logged(invite(), 420, "the request requires magic, which we do not support")

    assert (line["event"], line["status"], line["why"]) == (
        "refused", 420, "the request requires magic, which we do not support",
    )  # fmt: skip
    assert line["steps"][0] == "it came from 10.1.0.0/16, which trunk a accepts"
    assert line["steps"][-1] == line["why"]


def test_stranger_is_logged_with_why_no_trunk_is_his() -> None:
    why = "198.51.100.7 is in no trunk's accept_from"

    assert (
        "trunk b: 198.51.100.7 is none of its addresses (10.2.0.0/16)" in logged(invite(), 403, why, STRANGER)["steps"]
    )


@pytest.mark.parametrize(
    ("request_", "status", "event"),
    [(Request("OPTIONS", "sip:x"), 405, "refused"), (None, 0, "message dropped: it cannot be read")],
)
def test_what_is_no_call_has_no_steps(request_: Request | None, status: int, event: str) -> None:
    line = logged(request_, status, "why")

    assert (line["event"], "steps" in line) == (event, False)


def test_challenge_is_no_refusal() -> None:
    line = logged(invite(), 401, "prove it")

    assert (line["event"], line["log_level"]) == ("challenged", "debug")
