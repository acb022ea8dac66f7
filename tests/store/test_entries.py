"""What entries say of themselves."""

from datetime import UTC, datetime

from sipflow.store.entries import AgentEntry, NumberEntry, slug_of

AT = datetime(2026, 11, 21, tzinfo=UTC)


def number(inbound: str | None, *outbound: str) -> NumberEntry:
    return NumberEntry(
        "+12065550100", "12065550100", "", "custom", "", None, None, False, False, AT, None, inbound, outbound
    )  # fmt: skip


def test_number_names_each_agent_once_the_one_that_answers_first() -> None:
    assert number(None).agents == ()
    assert number("a", "b", "a").agents == ("a", "b")
    assert (number("a").is_available, number(None, "b").is_available) == (False, True)


def test_options_are_shown_only_where_they_can_be_no_secret() -> None:
    options = {
        "url": "wss://u:p@x/?key=1",
        "api_key": "k",
        "file": "a.wav",
        "repeat": 2,
        "loud": True,
        "headers": {"A": "b"},
    }
    agent = AgentEntry("a", "A", "inbound", "stream", options, {}, False, AT)

    assert agent.shown_options == {
        "url": "***", "api_key": "***", "file": "a.wav", "repeat": 2, "loud": True, "headers": "***",
    }  # fmt: skip
    assert "wss" not in repr(agent)


def test_slug_is_the_number_without_its_plus() -> None:
    assert [slug_of(text) for text in ("+12065550100", "200", "*21", "+1206*")] == [
        "12065550100",
        "200",
        "*21",
        "1206*",
    ]
