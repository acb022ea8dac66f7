import asyncio
from dataclasses import replace

import pytest

from sipflow.errors import TransportError
from sipflow.net.locate import Reach
from sipflow.net.records import Answer, Question
from sipflow.net.resolver import Resolver, reach_of
from sipflow.net.settings import DnsSettings, Settings
from sipflow.sip.hop import Hop
from sipflow.sip.uri import SipUri, parse_uri
from tests.net.dns_server import DnsServer, dns_server
from tests.net.fakes import listen

ZONE = {
    ("example.com", "NAPTR"): ['10 10 "s" "SIP+D2T" "" _sip._tcp.example.com.'],
    ("_sip._tcp.example.com", "SRV"): ["10 0 5070 main.example.com.", "20 0 5070 backup.example.com."],
    ("main.example.com", "A"): ["192.0.2.1"],
    ("main.example.com", "AAAA"): ["2001:db8::1"],
    ("backup.example.com", "A"): ["192.0.2.2"],
}


def uri(text: str) -> SipUri:
    parsed = parse_uri(text)
    assert isinstance(parsed, SipUri)
    return parsed


def settings(server: DnsServer | None = None, *texts: str, **limits: float) -> Settings:
    dns = DnsSettings(servers=(f"127.0.0.1:{server.port}",) if server else ())
    return Settings(listen=listen(*(texts or ("udp:127.0.0.1:0",))), dns=replace(dns, **limits))  # type: ignore[arg-type]


async def test_a_domain_is_resolved_through_naptr_srv_and_address_records() -> None:
    async with dns_server(ZONE) as server:
        resolver = Resolver(settings(server, "udp:0.0.0.0:0", "udp:[::]:0"))

        hops = await resolver.resolve(uri("sip:+12065550100@example.com"))

        assert hops == (
            Hop("tcp", "192.0.2.1", 5070),
            Hop("tcp", "2001:db8::1", 5070),
            Hop("tcp", "192.0.2.2", 5070),
        )
        await resolver.close()


async def test_what_was_resolved_once_is_at_hand_and_dns_is_not_asked_again() -> None:
    async with dns_server(ZONE) as server:
        resolver = Resolver(settings(server))
        before = resolver.known(uri("sip:example.com"))
        hops = await resolver.resolve(uri("sip:example.com"))
        asked = len(server.asked)

        assert before is None
        assert resolver.known(uri("sip:example.com")) == hops
        assert await resolver.resolve(uri("sip:example.com")) == hops
        assert len(server.asked) == asked
        await resolver.close()


async def test_a_hundred_callers_of_one_name_cost_one_set_of_questions() -> None:
    async with dns_server(ZONE) as server:
        resolver = Resolver(settings(server))

        await asyncio.gather(*(resolver.resolve(uri("sip:example.com")) for _ in range(100)))

        assert len(server.asked) == len(set(server.asked))
        await resolver.close()


async def test_an_ip_literal_asks_nobody() -> None:
    async def unasked(question: Question) -> Answer:
        raise AssertionError(question)

    resolver = Resolver(settings(), lookup=unasked)

    assert resolver.known(uri("sip:192.0.2.1")) == (Hop("udp", "192.0.2.1", 5060),)
    assert await resolver.resolve(uri("sip:192.0.2.1")) == (Hop("udp", "192.0.2.1", 5060),)


async def test_a_dead_dns_server_is_said_so_within_one_look_up() -> None:
    async with dns_server() as server:
        server.silent.update(
            ("example.com", "_sip._udp.example.com", "_sip._tcp.example.com", "_sips._tcp.example.com")
        )
        resolver = Resolver(settings(server, lookup_s=0.1))

        with pytest.raises(TransportError, match=r"^no address for example\.com: DNS did not answer in 0\.1 s$"):
            await resolver.resolve(uri("sip:example.com"))
        await resolver.close()


async def test_a_host_without_srv_records_is_still_found_when_dns_has_died() -> None:
    dead = False
    now = 0.0

    async def look(question: Question) -> Answer:
        if dead:
            return Answer(problem="DNS did not answer in 3 s", silent=True)
        if question == Question("A", "pbx.example.com"):
            return Answer(addresses=("192.0.2.1",), ttl_s=60.0)
        return Answer(problem="DNS says the name does not exist")

    resolver = Resolver(settings(), lookup=look, clock=lambda: now)
    hops = await resolver.resolve(uri("sip:pbx.example.com"))
    dead, now = True, 3600.0

    assert await resolver.resolve(uri("sip:pbx.example.com")) == hops
    await resolver.close()


async def test_all_questions_together_have_a_limit() -> None:
    async def slow(question: Question) -> Answer:
        await asyncio.sleep(0.04)
        return Answer()

    resolver = Resolver(settings(total_s=0.06), lookup=slow)

    with pytest.raises(TransportError, match=r"^no address for example\.com: DNS did not answer in 0\.06 s$"):
        await resolver.resolve(uri("sip:example.com"))
    await resolver.close()


async def test_the_weight_of_a_target_is_how_often_it_comes_first() -> None:
    zone = {
        ("_sip._udp.example.com", "SRV"): ["1 1 5060 light.example.com.", "1 3 5060 heavy.example.com."],
        ("light.example.com", "A"): ["192.0.2.1"],
        ("heavy.example.com", "A"): ["192.0.2.3"],
    }
    marks = iter([0, 0, 1, 0, 2, 0, 3, 0, 4, 0])
    async with dns_server(zone) as server:
        resolver = Resolver(settings(server), choose=lambda _: next(marks))

        firsts = [(await resolver.resolve(uri("sip:example.com;transport=udp")))[0].host for _ in range(5)]

        assert firsts == ["192.0.2.1", "192.0.2.1", "192.0.2.3", "192.0.2.3", "192.0.2.3"]
        await resolver.close()


async def test_closing_abandons_what_is_being_looked_up() -> None:
    started = asyncio.Event()

    async def endless(question: Question) -> Answer:
        started.set()
        await asyncio.Event().wait()
        return Answer()

    resolver = Resolver(settings(), lookup=endless)
    waiting = asyncio.create_task(resolver.resolve(uri("sip:example.com")))
    await started.wait()

    await resolver.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    ("texts", "kinds"),
    [
        (("udp:0.0.0.0:0",), {"udp": ("A",), "tcp": ("A",), "tls": ("A",)}),
        (("tcp:[::]:0",), {"tcp": ("AAAA",), "tls": ("AAAA",)}),
        (
            ("udp:[::]:0", "udp:0.0.0.0:0"),
            {"udp": ("AAAA", "A"), "tcp": ("AAAA", "A"), "tls": ("AAAA", "A")},
        ),
        (("udp:0.0.0.0:0", "tcp:[::]:0"), {"udp": ("A",), "tcp": ("A", "AAAA"), "tls": ("A", "AAAA")}),
        ((), {"tcp": ("A", "AAAA"), "tls": ("A", "AAAA")}),
    ],
)
def test_the_listeners_say_what_is_in_reach(texts: tuple[str, ...], kinds: dict[str, tuple[str, ...]]) -> None:
    assert reach_of(listen(*texts)) == Reach(kinds)
