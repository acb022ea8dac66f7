"""Who is taken to ask, whatever stands in the headers."""

from typing import Any

import pytest

from sipflow.api.forwarded import BehindProxies
from sipflow.api.gate import is_near

PROXIES = ("10.0.0.0/28", "127.0.0.1", "2001:db8:1::/64")
PROXY, FAR = "10.0.0.2", "203.0.113.9"


async def passed(peer: str, *headers: tuple[str, str], header: str = "x-forwarded-for") -> dict[str, Any]:
    """What the API is told of a request from this address with these headers."""
    told: list[dict[str, Any]] = []

    async def api(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope)

    scope = {
        "type": "http", "scheme": "http", "client": (peer, 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }  # fmt: skip
    await BehindProxies(api, PROXIES, header)(scope, None, None)
    return told[0]


async def asks(peer: str, *said: str) -> str:
    host: str = (await passed(peer, *(("x-forwarded-for", text) for text in said)))["client"][0]
    return host


async def asks_rfc(peer: str, *said: str) -> str:
    host: str = (await passed(peer, *(("forwarded", text) for text in said), header="forwarded"))["client"][0]
    return host


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ([FAR], FAR),
        ([f"{FAR}:51000"], FAR),
        (["2001:db8::9"], "2001:db8::9"),
        (["[2001:db8::9]:51000"], "2001:db8::9"),
        ([f"{FAR}, 10.0.0.3"], FAR),
        ([FAR, "10.0.0.3"], FAR),
        ([f"198.51.100.1, {FAR}"], FAR),
        (["198.51.100.1", f"10.0.0.5, {FAR}, 10.0.0.3"], FAR),
    ],
    ids=["one", "with a port", "IPv6", "IPv6 with a port", "two proxies", "two headers", "made up", "made up, longer"],
)
async def test_a_proxy_that_is_trusted_says_who_asks(said: list[str], client: str) -> None:
    assert await asks(PROXY, *said) == client


@pytest.mark.parametrize(
    "said",
    [
        [], [""], ["unknown"], ["a.b.c.d"], [f"{FAR},"], [f"{FAR}, x"], ["1" * 100_000], [f"{FAR}," * 5000], ["[::1"],
        ["::ffff:999.1.1.1"],
    ],
    ids=["nothing", "empty", "unknown", "name", "empty last", "no address last", "long", "many", "open", "wrong"],
)  # fmt: skip
async def test_what_cannot_be_read_leaves_the_proxy_as_who_asks(said: list[str]) -> None:
    assert await asks(PROXY, *said) == PROXY


async def test_nobody_else_is_believed() -> None:
    assert await asks(FAR, "198.51.100.1") == FAR
    assert await asks("10.0.0.200", "198.51.100.1") == "10.0.0.200"
    assert await asks(PROXY, "127.0.0.1, 198.51.100.1, 10.0.0.3") == "198.51.100.1"


async def test_of_many_proxies_in_a_row_only_the_nearest_are_asked() -> None:
    assert await asks(PROXY, f"{FAR}, " + ", ".join(["10.0.0.3"] * 5)) == FAR
    assert await asks(PROXY, f"{FAR}, " + ", ".join(["10.0.0.3"] * 16)) == "10.0.0.3"


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (f"for={FAR}", FAR),
        (f'proto=https;For="{FAR}:80";by=10.0.0.2', FAR),
        ('for="[2001:db8::9]:4711"', "2001:db8::9"),
        (f"for=198.51.100.1, for={FAR}, for=10.0.0.3", FAR),
        ("for=_hidden", PROXY),
        ("by=10.0.0.2;proto=https", PROXY),
        (f"for={FAR};" * 3, FAR),
    ],
)
async def test_the_header_of_rfc_7239_says_it_too_where_it_is_named(said: str, client: str) -> None:
    assert await asks_rfc(PROXY, said) == client


async def test_the_header_that_the_proxy_does_not_write_is_not_read_for_it_would_be_the_client_s() -> None:
    both = (("x-forwarded-for", FAR), ("forwarded", "for=198.51.100.1"))

    assert (await passed(PROXY, *both))["client"][0] == FAR
    assert (await passed(PROXY, *both, header="forwarded"))["client"][0] == "198.51.100.1"


async def test_the_nearest_proxy_says_whether_it_was_https() -> None:
    for_it = ("x-forwarded-for", FAR)
    told = [
        await passed(PROXY, for_it, ("x-forwarded-proto", "https")),
        await passed(PROXY, for_it, ("x-forwarded-proto", "https, http")),
        await passed(FAR, ("x-forwarded-proto", "https")),
        await passed(PROXY, ("forwarded", f"for={FAR};proto=HTTPS"), header="forwarded"),
        await passed(PROXY, ("forwarded", f"for={FAR};proto=https, for=10.0.0.3"), header="forwarded"),
    ]

    assert [each["scheme"] for each in told] == ["https", "http", "http", "https", "http"]


async def test_nobody_becomes_this_machine_by_what_a_proxy_passes_on() -> None:
    told = [
        await passed("127.0.0.1", ("x-forwarded-for", text)) for text in ("127.0.0.1", "::1", "127.0.0.1, 127.0.0.1")
    ]

    assert [is_near(scope) for scope in told] == [False, False, False]
