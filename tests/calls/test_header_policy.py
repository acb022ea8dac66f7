import pytest

from sipflow.calls.header_policy import composed, crossing, joined_lines, wants_privacy, without_places
from sipflow.sip.message import Headers
from sipflow.trunks.crossing import HeaderSettings
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk

CAME = (
    ("Via", "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1"),
    ("Contact", "<sip:inner@10.1.1.1>"),
    ("User-Agent", "Inner/1.0"),
    ("X-Customer", "4711"),
    ("x-note", "a, b"),
    ("X-EI", "S.abc;"),
    ("User-to-User", "56a390f3d2b7310023a2;encoding=hex"),
    ("Diversion", "<sip:+12065550101@10.1.1.1:5070;transport=tcp>;reason=no-answer;counter=1"),
    ("History-Info", "<sip:+12065550101@10.1.1.1?Reason=SIP%3Bcause%3D302>;index=1, <sip:2@10.1.1.2>;index=1.1"),
    ("P-Asserted-Identity", '"Ann" <sip:+12065550199@10.1.1.1;user=phone>'),
    ("P-Asserted-Identity", "<tel:+12065550199>"),
    ("Privacy", "id"),
    ("Reason", 'Q.850;cause=16;text="bye"'),
)


def headers(*lines: tuple[str, str]) -> Headers:
    made = Headers()
    for name, value in lines or CAME:
        made.add(name, value)
    return made


def trunk(*, domain: str = "carrier.example", **words: object) -> Trunk:
    return Trunk("out", sip_domain=domain, headers=HeaderSettings(**words))  # type: ignore[arg-type]


def test_nothing_crosses_to_a_trunk_that_names_nothing_nor_without_one() -> None:
    assert (crossing(headers(), trunk()), crossing(headers(), None)) == ((), ())


def test_what_is_named_crosses_in_order_and_hosts_do_not() -> None:
    out = trunk(passed=("X-*", "User-to-User", "Diversion", "History-Info", "P-Asserted-Identity", "Reason"))

    assert crossing(headers(), out) == (
        ("X-Customer", "4711"),
        ("x-note", "a, b"),
        ("User-to-User", "56a390f3d2b7310023a2;encoding=hex"),
        ("Diversion", "<sip:+12065550101@carrier.example>;reason=no-answer;counter=1"),
        (
            "History-Info",
            "<sip:+12065550101@carrier.example?Reason=SIP%3Bcause%3D302>;index=1, <sip:2@carrier.example>;index=1.1",
        ),
        ("P-Asserted-Identity", '"Ann" <sip:+12065550199@carrier.example;user=phone>'),
        ("P-Asserted-Identity", "<tel:+12065550199>"),
        ("Reason", 'Q.850;cause=16;text="bye"'),
        ("Privacy", "id"),  # RFC 3325 §7: an identity never goes without it
    )


def test_everything_that_can_cross_crosses_where_all_is_named_and_shown() -> None:
    out = trunk(passed=("*", "X-EI"), topology="shown")

    assert crossing(headers(), out) == CAME[3:]


def test_x_ei_crosses_only_where_it_is_named_in_full() -> None:
    assert crossing(headers(), trunk(passed=("X-EI",))) == (("X-EI", "S.abc;"),)
    assert "X-EI" not in dict(crossing(headers(), trunk(passed=("X-*",))))


def test_what_tells_hosts_by_its_nature_crosses_only_where_it_is_named_in_full_and_reasons_say_no_place() -> None:
    came = headers(
        ("Call-Info", "<http://10.1.1.1/ann.png>"),
        ("In-Reply-To", "70710@10.1.1.1"),
        ("Reason", 'SIP;cause=503;text="no answer from 10.1.1.1:5060"'),
        ("Subject", "a question"),
    )
    reason = ("Reason", 'SIP;cause=503;text="no answer from the far end"')

    assert crossing(came, trunk(passed=("*",))) == (reason, ("Subject", "a question"))
    assert crossing(came, trunk(passed=("Call-Info", "Reason"))) == (("Call-Info", "<http://10.1.1.1/ann.png>"), reason)
    assert crossing(came, trunk(passed=("*",), topology="shown")) == tuple(came)


def test_what_is_hidden_does_not_cross() -> None:
    out = trunk(passed=("X-*", "P-Asserted-Identity"), hide=("X-Note", "privacy", "p-asserted-identity"))

    assert crossing(headers(), out) == (("X-Customer", "4711"),)


def test_an_address_that_cannot_be_read_stays_back_where_hosts_are_hidden() -> None:
    broken = headers(("Diversion", "<sip:a@10.1.1.1"))

    assert crossing(broken, trunk(passed=("Diversion",))) == ()
    assert crossing(broken, trunk(passed=("Diversion",), topology="shown")) == (("Diversion", "<sip:a@10.1.1.1"),)


def test_the_host_shown_is_that_of_from_or_nobodys() -> None:
    came = headers(("Diversion", "<sip:1@10.1.1.1>"))
    settings = HeaderSettings(passed=("Diversion",))
    shown = Trunk("a", sip_domain="x.example", outbound=OutboundSettings(from_domain="y.example"), headers=settings)
    from sipflow.net.acl import Networks

    none = Trunk("b", accept_from=Networks(["10.0.0.0/8"]), headers=settings)

    assert crossing(came, shown) == (("Diversion", "<sip:1@y.example>"),)
    assert crossing(came, none) == (("Diversion", "<sip:1@anonymous.invalid>"),)


def test_of_one_name_the_later_layer_counts_and_the_trunk_has_the_last_word() -> None:
    out = trunk(set={"X-Who": "{caller}", "X-None": "{nobody}", "X-B": "set"}, hide=("X-Hidden", "X-B"))
    ours, crosses = (("P-Asserted-Identity", "<sip:us@x>"),), (("p-asserted-identity", "<sip:a@x>"), ("X-A", "1"))
    asked = (("x-a", "2"), ("X-Hidden", "3"), ("X-B", "4"))

    lines = composed(ours, crosses, asked, trunk=out, variables={"caller": "Ann\r\nVia: x"})

    assert lines == (("p-asserted-identity", "<sip:a@x>"), ("x-a", "2"), ("X-Who", "Ann  Via: x"), ("X-B", "set"))


def test_lines_of_one_name_are_put_together() -> None:
    assert joined_lines((("X-A", "1"), ("X-B", "2"), ("X-A", "3"))) == {"X-A": "1, 3", "X-B": "2"}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("no answer from udp:10.0.0.5:5060", "no answer from the far end"),
        ("sip:agent@pbx.internal;lr was not reached: 503", "the far end;lr was not reached: 503"),
        ("[2001:db8::1]:5061 refused, 10.0.0.5 too", "the far end refused, the far end too"),
        ("the far end hung up at 10:42", "the far end hung up at 10:42"),
        ("486 Busy Here", "486 Busy Here"),
        ("busy (it said sip:10.0.0.5).", "busy (it said the far end)."),
        ("+12065550177 did not answer in 8 s", "the far end did not answer in 8 s"),
        ("tel:+12065550177 was not reached", "the far end was not reached"),
    ],
)
def test_addresses_are_taken_out_of_sentences(said: str, left: str) -> None:
    assert without_places(said) == left


@pytest.mark.parametrize(
    ("value", "wanted"), [("id", True), ("header; user", True), ("none", False), ("critical", False)]
)
def test_a_caller_may_ask_not_to_be_shown(value: str, wanted: bool) -> None:
    assert wants_privacy(headers(("Privacy", value))) is wanted
