import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.tokens import parse_tokens, unsupported


def test_tokens_come_in_order_across_lines_and_empty_elements_are_skipped() -> None:
    assert parse_tokens(["100rel,, timer", "", "x-Y ,"]) == ["100rel", "timer", "x-Y"]


@pytest.mark.parametrize("value", ["a b", "a;b", '"a"', "ä", "a,<b>"])
def test_what_is_no_token_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_tokens([value])


def test_unsupported_tags_are_listed_as_the_peer_wrote_them() -> None:
    assert unsupported(["Timer, nothingSupportsThis"], ["timer", "100rel"]) == ["nothingSupportsThis"]
