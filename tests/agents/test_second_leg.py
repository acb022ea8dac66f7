import pytest

from sipflow.agents.second_leg import check_callee, check_caller, check_headers, check_text, dial, names_host, seconds
from sipflow.errors import AgentError
from tests.calls.middle import OUT
from tests.calls.stage import LOCAL, NUMBER, answer_and_wait, staged


@pytest.mark.parametrize(
    ("address", "itself"),
    [("sip:a@b", True), ("sips:a@b:1", True), ("tel:+1", False), ("TEL:+1", False), ("2001", False)],
)
def test_an_address_says_by_itself_where_it_is_or_needs_a_trunk(address: str, itself: bool) -> None:
    assert names_host(address) is itself


@pytest.mark.parametrize(
    ("address", "trunk", "sentence"),
    [
        ("2001", False, "handler x: to '2001' names no host"),
        ("sip:a@b c", True, "handler x: to: "),
        ("sip:a@{X-Host}", True, "handler x: to: variables of the call can stand before the @ alone"),
    ],
)
def test_whom_nobody_can_call_is_refused(address: str, trunk: bool, sentence: str) -> None:
    with pytest.raises(AgentError, match=sentence.replace("(", r"\(")):
        check_callee("handler x", "to", address, has_trunk=trunk)


def test_what_cannot_stand_in_from_or_in_a_header_is_refused() -> None:
    check_caller("handler x", '"{X-Name}" <sip:{caller}@a>')
    wrongs: tuple[object, ...] = ({"Via": "x"}, {"X A": "x"}, {"X-A": True}, {"X-A": "a\nb"}, [])
    for wrong in wrongs:
        with pytest.raises(AgentError, match="handler x: headers"):
            check_headers("handler x", wrong)
    with pytest.raises(AgentError, match="handler x: from"):
        check_caller("handler x", "sip:a@b c")


def test_text_is_text_and_seconds_are_seconds() -> None:
    assert (check_text("h", "a", "b"), seconds("h", "a", 2)) == ("b", 2.0)
    with pytest.raises(AgentError, match="h: a must be text"):
        check_text("h", "a", 1)
    for wrong in (0, -1, True, "1", float("inf")):
        with pytest.raises(AgentError, match=r"h: a is .*, not seconds"):
            seconds("h", "a", wrong)


async def test_what_a_caller_writes_stays_where_it_is_put() -> None:
    async with staged(answer_and_wait) as far:

        async def agent(call: object) -> None:
            leg = await dial(
                call,  # type: ignore[arg-type]
                f"sip:{NUMBER}@127.0.0.1:{far.port}",
                trunk="out",
                caller="{X-Name}",
                headers={"X-From": "{caller} {X-Name}", "X-None": "{nobody}"},
            )
            await leg.wait_answered()

        async with staged(agent, trunks=(LOCAL, OUT)) as near:
            call = await near.caller.switchboard.place(near.plan(headers=(("X-Name", "eve@evil.example"),)))
            await call.ended()
            await near.quiet()
            await far.quiet()
        headers = dict(far.agent.calls[0].headers)

    assert headers["From"].startswith("<sip:eve%40evil.example@carrier.example>")
    assert (headers["X-From"], "X-None" in headers) == ("caller eve@evil.example", False)
