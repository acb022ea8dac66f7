import time
from contextlib import suppress

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import find_param, parse_params, quote, replace_param, split_list, unquote, write_params


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Alice", '"Alice"'),
        ("", '""'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("bell\x07", '"bell\\\x07"'),
        ("Größe", '"Größe"'),
    ],
)
def test_quoting_and_unquoting_are_inverse(text: str, quoted: str) -> None:
    assert (quote(text), unquote(quoted)) == (quoted, text)


def test_nul_is_neither_written_nor_read() -> None:
    assert (quote("a\0b"), unquote('"a\\\0b"')) == ('"ab"', "ab")


@pytest.mark.parametrize("text", ["plain", '"', '"open', 'shut"', ""])
def test_text_without_quotes_is_left_alone(text: str) -> None:
    assert unquote(text) == text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", [""]),
        ("a", ["a"]),
        (" a , b ", ["a", "b"]),
        ("a,,b,", ["a", "", "b", ""]),
        ('"a, b" <sip:c,d@e>, <sip:f>', ['"a, b" <sip:c,d@e>', "<sip:f>"]),
        (r'"a\", b", c', [r'"a\", b"', "c"]),
    ],
)
def test_lists_are_split_outside_quotes_and_brackets(text: str, values: list[str]) -> None:
    assert split_list(text) == values


@pytest.mark.parametrize("text", ['"a, b', "<sip:a, b", 'a, "', "<<a>, b"])
def test_a_list_with_an_open_quote_or_bracket_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        split_list(text)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", ()),
        (";lr", (("lr", None),)),
        (";A=b;C", (("a", "b"), ("c", None))),
        (' ; a  =\t"x;y,\\"z" ; b = [::1] ', (("a", '"x;y,\\"z"'), ("b", "[::1]"))),
        (";tag=a=b@c/d:e", (("tag", "a=b@c/d:e"),)),
    ],
)
def test_parameters_are_read_with_spaces_and_quotes(text: str, params: tuple[tuple[str, str | None], ...]) -> None:
    assert parse_params(text) == params
    assert parse_params(write_params(params)) == params


def test_a_parameter_without_a_value_behind_its_sign_is_a_flag() -> None:
    assert parse_params(";rport=;branch=z9hG4bK1; x = ;tag=") == parse_params(";rport;branch=z9hG4bK1;x;tag")


@pytest.mark.parametrize("text", [";", ";;", ";a;", "a", ";=a", ';a="b', ";a=b c", ";a,b", ";ä=b", ";a=1;A=2"])
def test_what_is_no_parameter_list_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_params(text)


def test_a_parameter_is_found_unquoted_and_replaced_in_its_place() -> None:
    params = (("a", '"x y"'), ("b", None))

    assert [find_param(params, name) for name in ("a", "b", "c")] == ["x y", "", None]
    assert replace_param(params, "a", "1") == (("a", "1"), ("b", None))
    assert replace_param(params, "c", None) == (("a", '"x y"'), ("b", None), ("c", None))


@pytest.mark.parametrize(
    "text",
    ['"' * 60000, '"\\' * 30000, "<" * 60000, ", " * 30000, '"a"' * 20000, " " * 60000 + '"', "<>" * 30000 + "<"],
    ids=lambda text: text[:6],
)
def test_no_list_or_parameter_text_takes_quadratic_time(text: str) -> None:
    started = time.process_time()
    for read in (split_list, lambda value: parse_params(";a=" + value), lambda value: parse_params(";a" + value)):
        with suppress(RemoteProtocolError):
            read(text)
    assert time.process_time() - started < 1.0  # linear: some 20 ms; quadratic: a minute
