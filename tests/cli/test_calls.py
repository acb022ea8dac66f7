"""The words of `sipflow calls`; what they do is in test_call_records."""

from sipflow.cli.calls import CallsOptions
from tests.cli.conftest import Sipflow


def test_help_says_what_there_is(sipflow: Sipflow) -> None:
    for words, expected in (
        ((), ("show", "export", "--agent", "--since", "--limit", "--json", "sipflow calls --agent echo --since 2h")),
        (("show",), ("--json", "sipflow calls show")),
        (("export",), ("--format", "--output", "--status", "sipflow calls export --since 7d")),
    ):
        shown = sipflow("calls", *words, "--help").stdout
        assert [each for each in expected if each not in shown] == []


def test_an_option_that_is_none_is_told(sipflow: Sipflow) -> None:
    assert sipflow("calls", "--agnet", "echo").exit_code == 2
    assert sipflow("calls", "--limit", "0").exit_code == 2
    assert sipflow("calls", "show").exit_code == 2


def test_without_options_nothing_is_left_out() -> None:
    assert {getattr(CallsOptions(), name) for name in CallsOptions.__slots__ if name != "config"} == {"", None}
