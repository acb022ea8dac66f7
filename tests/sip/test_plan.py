from dataclasses import fields, replace

import pytest

from sipflow.sip.digest import Account
from sipflow.sip.plan import RequestPlan
from tests.support.calls import plan_to


def test_a_plan_shows_no_password_to_logs_and_tracebacks() -> None:
    plan = RequestPlan(
        method="INVITE",
        uri=plan_to("b").uri,
        destination=plan_to("b").destination,
        from_=plan_to("b").from_,
        to=plan_to("b").to,
        call_id="c",
        cseq=1,
        accounts=(Account("alice", "hunter2"),),
    )

    assert "alice" in repr(plan)
    assert "hunter2" not in repr(plan)


def test_two_plans_of_the_same_are_equal_and_have_a_contact() -> None:
    assert plan_to("b") == plan_to("b")
    assert (plan_to("b").with_contact, plan_to("b").routes, plan_to("b").allow_md5) == (True, (), True)


@pytest.mark.plain  # objects in the place of words and numbers
def test_an_invite_with_an_offer_is_otherwise_the_same() -> None:
    names = [field.name for field in fields(RequestPlan)]
    plan = RequestPlan(**{name: object() for name in names})  # type: ignore[arg-type]  # each another one

    assert plan.offering(b"v=0", reliable=False) == replace(
        plan, body=b"v=0", content_type="application/sdp", reliable=False
    )
