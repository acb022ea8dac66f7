"""Who gets in: strangers, trunks that want a password, and what is replayed."""

import asyncio
from dataclasses import replace

import pytest

from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.routes import NoRoute, Route, Router, Unread
from sipflow.calls.settings import Settings
from sipflow.errors import CallFailed
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Inventory, Number
from sipflow.sip.admission import Refusal
from sipflow.sip.digest import Account, DigestClient
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, make_response
from sipflow.sip.user_agent import Silence, Verdict
from sipflow.trunks.settings import InboundAuth
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import LOCAL, NUMBER, SECRET, staged

HERE, STRANGER = Hop("udp", "127.0.0.1", 5060), Hop("udp", "192.0.2.9", 5060)
AUTH = InboundAuth(username="desk", password="open sesame", realm="edge")
GUARDED = Trunk(name="guarded", accept_from=Networks(["127.0.0.0/8"]), inbound_auth=AUTH)


class Door:
    """A doorkeeper whose clock is turned by hand."""

    def __init__(self, *trunks: Trunk, unknown_source: str = "reject") -> None:
        self.now = 100.0
        self.table = TrunkTable(trunks, secret=SECRET)
        self.keeper = Doorkeeper(
            Router(self.table, Inventory([Number(NUMBER, inbound_agent="agent")])),
            Settings(unknown_source=unknown_source),  # type: ignore[arg-type]
            secret=b"key of the nonces",
            clock=lambda: self.now,
        )

    def knock(self, request: Request | None, hop: Hop = HERE) -> Verdict:
        return self.keeper(request, hop)


def invite(
    method: str = "INVITE", *, cseq: int = 1, uri: str = f"sip:{NUMBER}@127.0.0.1", **credentials: str
) -> Request:
    request = Request(method, uri)
    for name, value in {
        "Via": "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1",
        "From": "<sip:desk@127.0.0.1>;tag=1",
        "To": f"<{uri}>",
        "Call-ID": "1",
        "CSeq": f"{cseq} {method}",
        **credentials,
    }.items():
        request.headers.add(name, value)
    return request


def proof(refusal: Verdict, password: str = "open sesame", username: str = "desk") -> dict[str, str]:
    """What a caller adds after a challenge."""
    assert isinstance(refusal, Refusal)
    challenged = make_response(invite(), 401, headers=refusal.headers)
    client = DigestClient([Account(username, password, None)], cnonce=lambda: "cnonce")
    return dict(client.authorize(challenged, method="INVITE", uri=f"sip:{NUMBER}@127.0.0.1", body=b""))


def test_caller_of_a_known_source_comes_in() -> None:
    door = Door(LOCAL)

    assert (door.knock(invite()), door.knock(invite("OPTIONS")), door.knock(None)) == (None, None, None)


def test_two_trunks_at_one_address_are_told_that_we_live_but_a_call_for_neither_is_refused() -> None:
    door = Door(LOCAL, replace(LOCAL, name="other"))
    call = door.knock(invite(uri="sip:127.0.0.1"))

    assert door.knock(invite("OPTIONS", uri="sip:127.0.0.1")) is None
    assert isinstance(call, Refusal)
    assert call.status == 404


def test_stranger_is_refused_with_what_to_do_about_it() -> None:
    refusal = Door(LOCAL).knock(invite(), STRANGER)

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.headers) == (403, ())
    assert refusal.why.startswith("192.0.2.9 is in no trunk's accept_from")


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", None])
def test_stranger_hears_nothing_where_silence_is_wanted(method: str | None) -> None:
    request = invite(method) if method is not None else None

    assert Door(LOCAL, unknown_source="silent").knock(request, STRANGER) is Silence.SILENCE


def test_broken_message_of_a_stranger_is_left_to_the_user_agent_where_strangers_are_answered() -> None:
    assert Door(LOCAL).knock(None, STRANGER) is None


def test_trunk_that_wants_a_password_challenges_a_call() -> None:
    refusal = Door(GUARDED).knock(invite())

    assert isinstance(refusal, Refusal)
    assert refusal.status == 401
    assert [(name, 'realm="edge"' in value) for name, value in refusal.headers] == [
        ("WWW-Authenticate", True) for _ in AUTH.algorithms
    ]


def test_only_calls_are_challenged() -> None:
    assert Door(GUARDED).knock(invite("OPTIONS")) is None


def test_right_password_comes_in() -> None:
    door = Door(GUARDED)

    assert door.knock(invite(cseq=2, **proof(door.knock(invite())))) is None


def test_the_same_proof_a_second_time_is_asked_again() -> None:
    door = Door(GUARDED)
    answered = proof(door.knock(invite()))
    first, replayed = door.knock(invite(cseq=2, **answered)), door.knock(invite(cseq=2, **answered))

    assert first is None
    assert isinstance(replayed, Refusal)
    assert replayed.status == 401


@pytest.mark.parametrize(("password", "username"), [("wrong", "desk"), ("open sesame", "nobody"), ("", "desk")])
def test_wrong_proof_is_asked_again_and_what_is_wrong_is_not_told(password: str, username: str) -> None:
    door = Door(GUARDED)
    refusal = door.knock(invite(cseq=2, **proof(door.knock(invite()), password, username)))

    assert isinstance(refusal, Refusal)
    assert (refusal.status, "open sesame" in repr(refusal)) == (401, False)


def test_old_nonce_is_stale_and_not_a_wrong_password() -> None:
    door = Door(GUARDED)
    answered = proof(door.knock(invite()))
    door.now += 3600
    refusal = door.knock(invite(cseq=2, **answered))

    assert isinstance(refusal, Refusal)
    assert all("stale=true" in value for _, value in refusal.headers)
    assert door.knock(invite(cseq=3, **proof(refusal))) is None


def test_proof_for_a_trunk_that_changed_is_asked_again() -> None:
    door = Door(GUARDED)
    answered = proof(door.knock(invite()))
    changed = InboundAuth(username="desk", password="another", realm="edge")
    door.table.replace([Trunk(name="guarded", accept_from=Networks(["127.0.0.0/8"]), inbound_auth=changed)])
    refusal = door.knock(invite(cseq=2, **answered))

    assert isinstance(refusal, Refusal)
    assert refusal.status == 401


def test_call_that_was_let_in_is_routed() -> None:
    found, none = (Door(LOCAL).keeper.route(invite(), hop) for hop in (HERE, STRANGER))

    assert isinstance(found, Route)
    assert (found.trunk, found.number.number, found.agent) == (LOCAL, NUMBER, "agent")
    assert isinstance(none, NoRoute)
    assert none.status == 403


UNREAD = "not all numbers are read yet"
LATER = Refusal(503, UNREAD, (("Retry-After", "5"),))


@pytest.mark.parametrize(
    ("hop", "brief", "verdict"),
    [
        (HERE, True, Silence.SILENCE),  # it comes again by itself
        (HERE, False, LATER),
        (Hop("tcp", "127.0.0.1", 5060), True, LATER),
        (STRANGER, False, LATER),
    ],
)
def test_call_to_a_number_that_may_not_be_read_yet_is_put_off(hop: Hop, brief: bool, verdict: Verdict) -> None:
    door = Door(LOCAL)
    door.keeper.router.numbers = Inventory([Number("200", inbound_agent="agent")])
    door.keeper.router.unread = Unread(UNREAD, brief)
    put_off = door.knock(invite(), hop)
    door.keeper.router.unread = None

    assert put_off == verdict
    assert door.knock(invite(), HERE) is None  # and is refused with 404 where it is routed


def test_call_to_a_number_that_is_known_does_not_wait_for_the_others() -> None:
    door = Door(LOCAL)
    door.keeper.router.unread = Unread(UNREAD, brief=True)

    assert door.knock(invite()) is None
    assert door.knock(invite("OPTIONS"), STRANGER) == Door(LOCAL).knock(invite("OPTIONS"), STRANGER)


def test_stranger_hears_nothing_while_numbers_are_read_where_silence_is_wanted() -> None:
    door = Door(LOCAL, unknown_source="silent")
    door.keeper.router.unread = Unread(UNREAD, brief=False)

    assert door.knock(invite(), STRANGER) is Silence.SILENCE


async def test_caller_with_the_password_is_answered_and_one_without_is_not() -> None:
    async with staged(trunks=(GUARDED,)) as stage:
        call = await stage.call(accounts=(Account("desk", "open sesame", None),))
        answered = call.answered
        await call.hangup()
        statuses = []
        for accounts in ((), (Account("desk", "wrong", None),)):
            with pytest.raises(CallFailed) as failed:
                await stage.call(accounts=accounts)
            statuses.append(failed.value.status)
        await stage.quiet()

    assert (answered, statuses) == (True, [401, 401])


async def test_silence_leaves_no_packet() -> None:
    elsewhere = Trunk(name="pbx", accept_from=Networks(["192.0.2.0/24"]))
    async with staged(trunks=(elsewhere,), calls=Settings(unknown_source="silent")) as stage:
        heard = Listener()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: heard, remote_addr=("127.0.0.1", stage.port))
        for packet in (
            bytes(invite()),
            bytes(invite("OPTIONS")),
            b"OPTIONS sip:x SIP/2.0\r\n\r\n",
            b"\xff\x00 SIP/2.0",
        ):
            transport.sendto(packet)
        await asyncio.sleep(0.3)
        transport.close()

    assert heard.packets == []


class Listener(asyncio.DatagramProtocol):
    """Remembers what comes back."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.packets.append(data)
