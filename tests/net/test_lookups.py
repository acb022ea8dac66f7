import socket
from pathlib import Path

import pytest

from sipflow.net.lookups import DnsLookup
from sipflow.net.records import Answer, Naptr, Question, Srv
from sipflow.net.settings import DnsSettings
from tests.net.dns_server import DnsServer, dns_server

ZONE = {
    ("example.com", "NAPTR"): [
        '50 10 "s" "SIPS+D2T" "" _sips._tcp.Example.com.',
        '90 10 "S" "SIP+D2U" "!^.*$!sip:a@b!" .',
    ],
    ("_sip._udp.example.com", "SRV"): ["10 60 5060 A.example.com.", "20 0 5070 b.example.com."],
    ("_sip._tcp.example.com", "SRV"): ["0 0 0 ."],
    ("a.example.com", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("alias.example.com", "A"): ["CNAME a.example.com."],
}


def asking(server: DnsServer, lookup_s: float = 3.0) -> DnsLookup:
    return DnsLookup(DnsSettings(servers=(f"127.0.0.1:{server.port}",), lookup_s=lookup_s))


@pytest.mark.parametrize(
    ("kind", "name", "answer"),
    [
        (
            "NAPTR",
            "example.com",
            Answer(
                naptr=(
                    Naptr(50, 10, "s", "SIPS+D2T", "_sips._tcp.example.com"),
                    Naptr(90, 10, "S", "SIP+D2U", ""),
                ),
                ttl_s=300.0,
            ),
        ),
        (
            "SRV",
            "_sip._udp.example.com",
            Answer(srv=(Srv(10, 60, 5060, "a.example.com"), Srv(20, 0, 5070, "b.example.com")), ttl_s=300.0),
        ),
        ("SRV", "_sip._tcp.example.com", Answer(srv=(Srv(0, 0, 0, ""),), ttl_s=300.0)),
        ("A", "a.example.com", Answer(addresses=("192.0.2.1", "192.0.2.2"), ttl_s=300.0)),
        ("AAAA", "a.example.com", Answer(addresses=("2001:db8::1",), ttl_s=300.0)),
        ("A", "alias.example.com", Answer(addresses=("192.0.2.1", "192.0.2.2"), ttl_s=300.0)),
        ("A", "example.com", Answer()),
        ("A", "nobody.example.com", Answer(problem="DNS says the name does not exist")),
        ("A", f"{'a' * 64}.com", Answer(problem="it is not a DNS name", ttl_s=60.0)),
    ],
)
async def test_a_question_is_answered_from_the_network(kind: str, name: str, answer: Answer) -> None:
    async with dns_server(ZONE) as server:
        found = await asking(server)(Question(kind, name))

    assert (sorted(found.srv), sorted(found.naptr), sorted(found.addresses)) == (
        sorted(answer.srv),
        sorted(answer.naptr),
        sorted(answer.addresses),
    )
    assert (found.ttl_s, found.problem, found.silent) == (answer.ttl_s, answer.problem, answer.silent)


async def test_a_server_that_does_not_answer_is_asked_again_and_then_said_to_be_silent() -> None:
    async with dns_server() as server:
        server.silent.add("example.com")

        answer = await asking(server, lookup_s=0.3)(Question("A", "example.com"))

        assert answer == Answer(problem="DNS did not answer in 0.3 s", silent=True)
        assert server.asked.count(("example.com", "A")) >= 2


async def test_a_server_that_fails_is_not_taken_for_no() -> None:
    async with dns_server() as server:
        server.broken.add("example.com")

        answer = await asking(server, lookup_s=0.5)(Question("A", "example.com"))

    assert (answer.silent, answer.empty) == (True, True)


async def test_who_failed_and_how_is_told() -> None:
    async with dns_server() as server:
        server.broken.add("example.com")
        answer = await asking(server)(Question("A", "example.com"))

    assert answer.problem == f"no DNS server could answer (127.0.0.1@{server.port}: SERVFAIL)"


async def test_other_servers_of_the_system_are_asked_once_its_file_names_them(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 127.0.0.1\n")
    lookup = DnsLookup(DnsSettings(lookup_s=0.1), system=str(file))
    problems = [(await lookup(Question("A", "nobody.invalid"))).problem]
    file.write_text("# DHCP has taken the server away\n")
    problems.append((await lookup(Question("A", "nobody.invalid"))).problem)

    none = "no DNS server is configured on this host"
    assert [problem == none for problem in problems] == [False, True]


async def test_a_forged_answer_with_another_id_is_ignored() -> None:
    """An attacker off the path has to guess the id and the port of each question (RFC 5452 §9)."""
    async with dns_server(ZONE) as server:
        lookup = asking(server)
        seen: list[int] = []
        real = server.datagram_received

        def forge_first(data: bytes, addr: tuple[str, int]) -> None:
            seen.extend((int.from_bytes(data[:2]), addr[1]))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
                forged = bytearray(data)
                forged[2] |= 0x80
                liar.sendto(bytes(forged), addr)  # the right id, the wrong source
            real(data, addr)

        server.datagram_received = forge_first  # type: ignore[method-assign]
        answers = [await lookup(Question("AAAA", "a.example.com")) for _ in range(4)]

    assert [answer.addresses for answer in answers] == [("2001:db8::1",)] * 4
    assert len(set(seen[0::2])) > 1
    assert len(set(seen[1::2])) > 1
