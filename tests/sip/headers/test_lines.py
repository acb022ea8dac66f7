from collections.abc import Callable

import pytest

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.lines import Headers, write_line, write_lines


def headers(*lines: tuple[str, str]) -> Headers:
    made = Headers()
    for name, value in lines:
        made.add(name, value)
    return made


def test_lines_keep_their_order_and_spelling() -> None:
    made = headers(("v", "1"), ("X-Odd", "ä"), ("VIA", "2"))

    assert list(made) == [("v", "1"), ("X-Odd", "ä"), ("VIA", "2")]
    assert len(made) == 3
    assert made.raw("Via") == ["v: 1", "VIA: 2"]


def test_values_are_found_by_any_spelling() -> None:
    made = headers(("v", "1"), ("Via", "2"), ("i", "x"))

    assert (made.get("via"), made.get("Call-ID"), made.get("To")) == ("1", "x", None)
    assert (made.all("VIA"), made.all("To"), made.raw("To")) == (["1", "2"], [], [])
    assert ("call-id" in made, "t" in made, 5 in made) == (True, False, False)
    assert (made.count("Via"), made.count("To")) == (2, 0)


def test_values_are_split_at_commas_across_lines() -> None:
    made = headers(("Route", '"a, b" <sip:a,b@c>, <sip:d>,'), ("Route", "<sip:e>"))

    assert made.values("Route") == ['"a, b" <sip:a,b@c>', "<sip:d>", "<sip:e>"]
    assert made.values("Via") == []


def test_folded_lines_are_unfolded_when_read_and_kept_as_they_came() -> None:
    made = Headers()
    made.add_raw("Subject :  one\r\n\t two \r\n three  ")

    assert list(made) == [("Subject", "one two three")]
    assert made.raw("Subject") == ["Subject :  one\r\n\t two \r\n three  "]


def test_set_replaces_all_lines_at_the_place_of_the_first() -> None:
    made = headers(("A", "1"), ("B", "2"), ("A", "3"), ("C", "4"))

    made.set("a", "9")
    made.set("C", "8")
    made.set("D", "7")

    assert list(made) == [("a", "9"), ("B", "2"), ("C", "8"), ("D", "7")]


def test_insert_goes_before_the_first_of_its_name_or_to_the_top() -> None:
    made = headers(("A", "1"), ("B", "2"))

    made.insert("B", "0")
    made.insert("Via", "top")

    assert list(made) == [("Via", "top"), ("A", "1"), ("B", "0"), ("B", "2")]


def test_remove_says_how_many_there_were() -> None:
    made = headers(("A", "1"), ("B", "2"), ("a", "3"))

    assert (made.remove("A"), made.remove("A")) == (2, 0)
    assert list(made) == [("B", "2")]


def test_replace_first_leaves_the_other_values_of_a_list() -> None:
    made = headers(("Via", "one, two"), ("Via", "three"))

    made.replace_first("Via", "ONE")
    made.replace_first("Subject", "a, b")
    made.replace_first("Subject", "c")

    assert list(made) == [("Via", "ONE, two"), ("Via", "three"), ("Subject", "c")]


def test_replace_first_leaves_what_others_wrote_even_where_we_would_not_write_it() -> None:
    made = Headers()
    made.add_raw("Via: one, tw\x17o")

    made.replace_first("Via", "ONE")

    assert made.raw("Via") == ["Via: ONE, tw\x17o"]


def test_replace_first_refuses_to_guess_at_a_broken_list() -> None:
    made = headers(("Via", 'one, "two'))

    with pytest.raises(RemoteProtocolError):
        made.replace_first("Via", "x")
    assert list(made) == [("Via", 'one, "two')]


def test_a_copy_stands_alone() -> None:
    made = headers(("A", "1"))

    twin = made.copy()
    twin.set("A", "2")

    assert (made.get("A"), twin.get("A")) == ("1", "2")
    assert made == headers(("A", "1"))
    assert made != twin
    assert made != "A: 1"
    assert repr(made) == "Headers([('A', '1')])"


def add_all(made: Headers) -> Callable[[str, str], None]:
    return lambda name, value: made.add_all([(name, value)])


def test_many_lines_are_added_as_one_by_one_and_one_goes_to_the_top() -> None:
    made, lines = Headers(), (("Subject", "Zoë"), ("X-Own", "2"), ("Call-ID", "3"))
    made.add_all(lines)
    made.add_written(write_lines(lines[1:]))
    made.push("v", "SIP/2.0/UDP a;branch=b")
    made.push("X-First", "1")

    assert list(made) == [("X-First", "1"), ("v", "SIP/2.0/UDP a;branch=b"), *lines, *lines[1:]]
    assert (made.get("Via"), made.get("i")) == ("SIP/2.0/UDP a;branch=b", "3")


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nEvil: 1", "a\rb", "a\0b", "\r\n", "\ud800"])
def test_a_value_that_would_inject_a_header_is_refused_everywhere(value: str) -> None:
    made = headers(("A", "1"))

    for change in (made.add, made.set, made.insert, made.replace_first, made.push, add_all(made)):
        for name in ("A", "B", "Subject"):
            with pytest.raises(LocalProtocolError):
                change(name, value)
    assert list(made) == [("A", "1")]


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "Ä", "A\0"])
def test_a_name_that_is_no_token_is_refused_everywhere(name: str) -> None:
    made = headers(("A", "1"))

    for change in (made.add, made.set, made.insert, made.replace_first, made.push, add_all(made)):
        with pytest.raises(LocalProtocolError):
            change(name, "x")
    assert (list(made), made.get(name), made.remove(name)) == ([("A", "1")], None, 0)


def test_octets_of_a_peer_that_are_no_utf8_may_be_repeated() -> None:
    text = b"caf\xe9".decode("utf-8", "surrogateescape")

    assert headers(("X-Name", text)).get("X-Name") == text


def test_lines_whose_name_begins_with_a_letter_are_found_in_order_and_as_written() -> None:
    headers = Headers()
    for name, value in (("Via", "a"), ("x-Lead", "1"), ("From", "b"), ("X-EI", " S.1; "), ("Diversion", "c")):
        headers.add(name, value)

    assert headers.beginning(frozenset("xd")) == [("x-Lead", "1"), ("X-EI", "S.1;"), ("Diversion", "c")]
    assert headers.beginning(frozenset()) == []


@pytest.mark.parametrize("value", ["a\x1b[2Jb", "a\x07", "\x7f", "\x9b2J"])
def test_no_line_of_ours_moves_a_cursor(value: str) -> None:
    with pytest.raises(LocalProtocolError, match="a control character in a X-A header"):
        write_line("X-A", value)


def test_a_quoted_pair_in_the_name_of_a_far_end_is_written_as_it_came() -> None:
    assert write_line("To", '"a\\\x07b" <sip:a@b>') == 'To: "a\\\x07b" <sip:a@b>'
    with pytest.raises(LocalProtocolError, match="a control character in a To header"):
        write_line("To", '"a\x07b" <sip:a@b>')
    with pytest.raises(LocalProtocolError, match="CR, LF or NUL in a To header"):
        write_line("To", '"a\\\r\nb" <sip:a@b>')
