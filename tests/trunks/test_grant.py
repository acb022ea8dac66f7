import pytest

from sipflow.sip.message import Response
from sipflow.trunks.grant import Grant, Sought, read_grant, read_seen_as
from tests.trunks.registrar import LOCAL, TOKEN

SOUGHT = Sought("2001", TOKEN, LOCAL, 300)
OURS = f"<sip:2001@192.0.2.1:5060;line={TOKEN}>"
PHONE = "<sip:2001@192.168.1.50:5060>"
OTHERS = "the 200 lists only Contacts of others"
NONE = "the 200 lists no Contact"
DOUBT = ", so calls may not reach this trunk: see whether the registrar allows one more device"


def ok(*headers: tuple[str, str]) -> Response:
    response = Response(200, "OK")
    for name, value in headers:
        response.headers.add(name, value)
    return response


@pytest.mark.parametrize(
    ("contacts", "header", "expires"),
    [
        ([f"{OURS};expires=120"], "600", 120),  # the Contact's own expiry wins
        ([f"{OURS};expires=5"], None, 5),  # refreshed within it: else callers would find nobody in between
        ([OURS], "600", 600),  # none in the Contact: the header
        ([OURS], None, 300),  # none at all: what we asked
        ([f"{PHONE};expires=40", f"{OURS};expires=200"], None, 200),  # the other device is none of ours
        ([f'"x" {PHONE};expires=40, {OURS};q=1.0;expires=200'], None, 200),
        ([f"<tel:+12065550100>;expires=40, nonsense, {OURS};expires=200"], None, 200),
        # A former address of ours, with the same token: the one that we have just sent counts.
        ([f"<sip:2001@192.0.2.9:5060;line={TOKEN}>;expires=40", f"{OURS};expires=200"], None, 200),
        # The registrar has dropped the parameters: ours by user and address, else by user.
        (["<sip:2001@192.0.2.1:5060>;expires=150", f"{PHONE};expires=40"], None, 150),
        (["<sip:2001@203.0.113.5:1024>;expires=150"], None, 150),
        # Several of the user and none at our address: the one that ends first and is not over.
        (
            [f"{PHONE};expires=3600", "<sip:2001@203.0.113.5:1024>;expires=60", "<sip:2001@10.1.1.1>;expires=0"],
            None,
            60,
        ),
        ([f"{OURS};expires=99999999999"], "600", 600),
        ([f"{OURS};expires=soon"], None, 300),
        ([f"{OURS};expires=4000000"], None, 86_400),
    ],
)
def test_the_expiry_of_our_own_binding_is_what_counts(contacts: list[str], header: str | None, expires: int) -> None:
    headers = [("Contact", contact) for contact in contacts]
    headers += [("Expires", header)] if header is not None else []

    assert read_grant(ok(*headers), SOUGHT) == Grant(expires, "")


@pytest.mark.parametrize(
    ("headers", "grant"),
    [
        ([("Contact", "<sip:3000@10.1.1.1>;expires=40")], Grant(40, OTHERS + DOUBT)),  # ours, perhaps, rewritten
        ([("Contact", "<sip:3000@10.1.1.1>;expires=40"), ("Expires", "600")], Grant(40, OTHERS + DOUBT)),
        ([("Contact", "<sip:3000@10.1.1.1>"), ("Expires", "600")], Grant(600, OTHERS + DOUBT)),
        ([("Contact", "<sip:3000@10.1.1.1>;expires=40, <sip:4000@10.1.1.2>")], Grant(300, OTHERS + DOUBT)),
        ([], Grant(300, NONE + DOUBT)),
        ([("Contact", "*")], Grant(300, NONE + DOUBT)),
        ([("Contact", '"broken <sip:2001@x')], Grant(300, NONE + DOUBT)),
    ],
)
def test_a_200_without_our_contact_counts_and_is_doubted(headers: list[tuple[str, str]], grant: Grant) -> None:
    assert read_grant(ok(*headers), SOUGHT) == grant


@pytest.mark.parametrize(("expires", "taken_for"), [(0, 30), (1, 5), (4, 5)])
def test_less_than_5_seconds_is_taken_for_5_or_nothing_for_30_and_doubted(expires: int, taken_for: int) -> None:
    assert read_grant(ok(("Contact", f"{OURS};expires={expires}")), SOUGHT) == Grant(
        taken_for,
        f"the registrar grants only {expires} s, and is asked again every {taken_for} s at most: "
        "calls in between may not reach this trunk",
    )


@pytest.mark.parametrize(
    ("via", "seen"),
    [
        ("SIP/2.0/UDP 192.168.1.2:5060;branch=z;received=203.0.113.9;rport=40123", ("203.0.113.9", 40123)),
        ("SIP/2.0/UDP 192.168.1.2:5060;branch=z;received=203.0.113.9", ("203.0.113.9", 5060)),
        ("SIP/2.0/UDP 192.168.1.2;branch=z;rport=40123", ("192.168.1.2", 40123)),
        ("SIP/2.0/UDP [2001:db8::2]:5060;branch=z;received=2001:db8::9;rport=1", ("2001:db8::9", 1)),
        ("SIP/2.0/UDP 192.168.1.2:5060;branch=z;rport", None),
        ("SIP/2.0/UDP 192.168.1.2:5060;branch=z;received=x;rport=99999", ("x", 5060)),
        ("nonsense", None),
    ],
)
def test_the_registrar_says_at_what_address_it_saw_us(via: str, seen: tuple[str, int] | None) -> None:
    assert read_seen_as(ok(("Via", via))) == seen
    assert read_seen_as(Response(200)) is None
