import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sipflow.media import dtls
from sipflow.media.dtls import DtlsHandshake, identity, installed, is_dtls
from sipflow.media.latch import Address
from sipflow.rtp.packet import header
from sipflow.rtp.srtp import SrtpSession
from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms, Fingerprint

openssl = pytest.importorskip("sipflow.media.dtls_openssl")

OURS, THEIRS, STRANGER = openssl.make_identity(), openssl.make_identity(), openssl.make_identity()
HERE, THERE, ELSEWHERE = ("192.0.2.9", 10000), ("192.0.2.1", 4000), ("198.51.100.7", 5000)
PATIENCE_S = 20.0


@dataclass
class End:
    """One end of a handshake, and what it was told.

    Attributes:
        at: its address.
        lost: how many of its datagrams are lost on their way, from the first.
    """

    at: Address
    lost: int = 0
    sent: list[tuple[bytes, Address]] = field(default_factory=list)
    keys: list[tuple[SrtpKeys, Address]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    handshake: DtlsHandshake | None = None


class Network:
    """Joins ends: a datagram arrives one turn of the loop later, from where its sender is."""

    def __init__(self, *ends: End) -> None:
        self.ends = {end.at: end for end in ends}

    def start(
        self,
        end: End,
        own: "openssl.Identity",  # type: ignore[name-defined]
        terms: DtlsTerms,
        remote: Address | None,
        timeout_s: float = PATIENCE_S,
    ) -> DtlsHandshake:
        end.handshake = DtlsHandshake(
            terms,
            own,
            remote=remote,
            send=lambda data, to: self.carry(end, data, to),
            on_keys=lambda keys, at: end.keys.append((keys, at)),
            on_failed=end.failures.append,
            timeout_s=timeout_s,
        )
        return end.handshake

    def carry(self, sender: End, datagram: bytes, to: Address) -> None:
        sender.sent.append((datagram, to))
        if len(sender.sent) > sender.lost:
            asyncio.get_running_loop().call_soon(self.deliver, datagram, sender.at, to)

    def deliver(self, datagram: bytes, source: Address, to: Address) -> None:
        end = self.ends.get(to)
        if end is not None and end.handshake is not None:
            end.handshake.receive(datagram, source)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  (any condition, of any end)
            await asyncio.sleep(0.005)


def close(*ends: End) -> None:
    for end in ends:
        if end.handshake is not None:
            end.handshake.close()


def talk(ours: End, theirs: End) -> None:
    """Prove that both have the same keys, crosswise."""
    one, other = SrtpSession(ours.keys[0][0]), SrtpSession(theirs.keys[0][0])
    packet = header(0, 1, 160, 7) + bytes(160)
    assert other.unprotect(one.protect(packet)) == packet
    assert one.unprotect(other.protect(packet)) == packet


async def test_both_ends_get_the_same_keys_and_learn_where_the_other_is() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)

    network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), THERE)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    await until(lambda: ours.keys and theirs.keys)

    talk(ours, theirs)
    assert (ours.keys[0][1], theirs.keys[0][1]) == (THERE, HERE)
    assert ours.handshake is not None
    assert ours.handshake.keys == ours.keys[0][0]
    assert [len(end.keys) + len(end.failures) for end in (ours, theirs)] == [1, 1]
    assert all(is_dtls(datagram) for datagram, _ in ours.sent + theirs.sent)
    close(ours, theirs)


async def test_lost_datagrams_are_sent_again() -> None:
    ours, theirs = End(HERE, lost=1), End(THERE, lost=1)
    network = Network(ours, theirs)

    network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), None)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    await until(lambda: ours.keys and theirs.keys)

    talk(ours, theirs)
    close(ours, theirs)


async def test_our_lost_last_word_is_repeated_when_the_peer_asks_again() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), None)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    real, lost = network.carry, list[bytes]()

    def carry(sender: End, datagram: bytes, to: Address) -> None:
        if sender is ours and ours.keys == [] and len(ours.sent) == 1 and not lost:
            lost.append(datagram)  # the flight with our Finished
        else:
            real(sender, datagram, to)

    network.carry = carry  # type: ignore[method-assign]
    await until(lambda: ours.keys and theirs.keys)

    assert len(lost) == 1
    talk(ours, theirs)
    close(ours, theirs)


async def test_a_peer_that_forgets_what_was_begun_is_offered_another() -> None:
    """As rtpengine does when our answer comes to it after our first datagram."""
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    real, hellos = network.carry, list[bytes]()

    def carry(sender: End, datagram: bytes, to: Address) -> None:
        if sender is ours and datagram[13] == 1:  # RFC 5246 §7.4: client_hello
            hellos.append(datagram)
        if sender is theirs or sender.sent == [] or len(hellos) > 1:
            real(sender, datagram, to)
        elif theirs.handshake is not None:  # what goes on with the first one is not known any more
            theirs.handshake.close()
            network.start(theirs, THEIRS, DtlsTerms(False, (OURS.fingerprint,)), HERE)

    network.carry = carry  # type: ignore[method-assign]
    network.start(theirs, THEIRS, DtlsTerms(False, (OURS.fingerprint,)), HERE)
    network.start(ours, OURS, DtlsTerms(True, (THEIRS.fingerprint,)), THERE)
    await until(lambda: ours.keys and theirs.keys)

    talk(ours, theirs)
    assert (ours.failures, theirs.failures) == ([], [])
    close(ours, theirs)


async def test_we_begin_when_our_answer_has_had_time_to_arrive() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    network.start(theirs, THEIRS, DtlsTerms(False, (OURS.fingerprint,)), HERE)
    network.start(ours, OURS, DtlsTerms(True, (THEIRS.fingerprint,), offered=True), THERE)
    at_once = list(ours.sent)
    await until(lambda: ours.keys and theirs.keys)

    assert at_once == []
    close(ours, theirs)


@pytest.mark.parametrize("active", [True, False])
async def test_a_certificate_that_the_description_does_not_name_is_refused(active: bool) -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)

    network.start(ours, OURS, DtlsTerms(active, (THEIRS.fingerprint,)), THERE, timeout_s=1.0)
    network.start(theirs, STRANGER, DtlsTerms(not active, (OURS.fingerprint,)), HERE, timeout_s=1.0)
    await until(lambda: ours.failures)

    assert ours.failures == [
        "no DTLS handshake: the far end's certificate is not the one that its description names (RFC 8122 §6.2)"
    ]
    assert ours.keys == []
    close(ours, theirs)


async def test_a_sha_512_fingerprint_is_checked_too() -> None:
    from cryptography.hazmat.primitives import hashes

    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    shown: list[Fingerprint] = []
    for own in (OURS, THEIRS):
        certificate = openssl.SSL.Connection(own.context, None).get_certificate(as_cryptography=True)
        shown.append(Fingerprint("sha-512", certificate.fingerprint(hashes.SHA512())))

    network.start(ours, OURS, DtlsTerms(False, (shown[1],)), THERE)
    network.start(theirs, THEIRS, DtlsTerms(True, (shown[0],)), HERE)
    await until(lambda: ours.keys and theirs.keys)

    talk(ours, theirs)
    close(ours, theirs)


async def test_a_stranger_who_begins_first_does_not_keep_the_peer_out() -> None:
    ours, theirs, stranger = End(HERE), End(THERE), End(ELSEWHERE)
    network = Network(ours, theirs, stranger)
    network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), THERE)

    network.start(stranger, STRANGER, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    await until(lambda: stranger.failures)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    await until(lambda: ours.keys and theirs.keys)

    talk(ours, theirs)
    assert (stranger.keys, ours.failures) == ([], [])
    close(ours, theirs, stranger)


async def test_a_peer_behind_a_translator_is_known_by_its_certificate() -> None:
    ours, theirs = End(HERE), End(ELSEWHERE)  # its description says THERE
    network = Network(ours, theirs)

    network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), THERE)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    await until(lambda: ours.keys and theirs.keys)

    assert ours.keys[0][1] == ELSEWHERE
    close(ours, theirs)


async def test_a_flood_of_strangers_leaves_room_for_the_peer() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    handshake = network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), THERE)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    hello = theirs.sent[0][0]

    for number in range(50):
        handshake.receive(hello, (f"198.51.100.{number}", 5000))
    await until(lambda: ours.keys and theirs.keys)

    talk(ours, theirs)
    close(ours, theirs)


async def test_whom_we_called_answers_alone() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    handshake = network.start(ours, OURS, DtlsTerms(True, (THEIRS.fingerprint,)), THERE)

    handshake.receive(b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28", ELSEWHERE)  # a forged alert
    network.start(theirs, THEIRS, DtlsTerms(False, (OURS.fingerprint,)), HERE)
    await until(lambda: ours.keys and theirs.keys)

    assert ours.failures == []
    close(ours, theirs)


async def test_a_handshake_follows_the_peer_to_another_address() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    handshake = network.start(ours, OURS, DtlsTerms(True, (THEIRS.fingerprint,)), ELSEWHERE)
    network.start(theirs, THEIRS, DtlsTerms(False, (OURS.fingerprint,)), HERE)

    handshake.redirect(ELSEWHERE)
    handshake.redirect(THERE)
    await until(lambda: ours.keys and theirs.keys)

    assert [to for _, to in ours.sent][:2] == [ELSEWHERE, THERE]
    close(ours, theirs)


@pytest.mark.parametrize(
    ("active", "sentence"),
    [
        (True, "no DTLS handshake: the far end did not answer"),
        (False, "no DTLS handshake: the far end did not begin one"),
    ],
)
async def test_a_peer_that_says_nothing_is_given_up(active: bool, sentence: str) -> None:
    ours = End(HERE)
    Network(ours).start(ours, OURS, DtlsTerms(active, (THEIRS.fingerprint,)), THERE, timeout_s=0.05)

    await until(lambda: ours.failures)

    assert (ours.failures, ours.keys) == ([sentence], [])


async def test_garbage_disturbs_nothing() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    handshake = network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), THERE)
    garbage = [b"\x16" * 40, b"\x16\xfe\xfd" + bytes(8) + b"\xff\xff", b"\x14" + bytes(60), b"\x3f" * 1500]

    for datagram in garbage:
        handshake.receive(datagram, THERE)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)
    await until(lambda: ours.keys and theirs.keys)
    for datagram in garbage:
        handshake.receive(datagram, THERE)
        handshake.receive(datagram, ELSEWHERE)

    talk(ours, theirs)
    assert (len(ours.keys), ours.failures) == (1, [])
    close(ours, theirs)


async def test_once_closed_nothing_is_sent_or_told() -> None:
    ours, theirs = End(HERE), End(THERE)
    network = Network(ours, theirs)
    handshake = network.start(ours, OURS, DtlsTerms(False, (THEIRS.fingerprint,)), THERE, timeout_s=0.01)
    network.start(theirs, THEIRS, DtlsTerms(True, (OURS.fingerprint,)), HERE)

    handshake.close()
    handshake.close()
    await asyncio.sleep(0.05)
    handshake.receive(theirs.sent[0][0], THERE)
    handshake.redirect(ELSEWHERE)

    assert (ours.sent, ours.keys, ours.failures) == ([], [], [])
    close(theirs)


@pytest.mark.parametrize(
    ("first", "size", "yes"),
    [
        (19, 50, False),
        (20, 50, True),
        (22, 50, True),
        (63, 50, True),
        (64, 50, False),
        (128, 50, False),
        (22, 13, False),
    ],
)
def test_dtls_is_told_from_rtp_by_the_first_octet(first: int, size: int, yes: bool) -> None:
    assert is_dtls(bytes([first]) + bytes(size - 1)) is yes


def test_nothing_at_all_is_no_dtls() -> None:
    assert not is_dtls(b"")


def test_a_process_has_one_identity_and_without_the_extra_none(monkeypatch: pytest.MonkeyPatch) -> None:
    own = identity()
    assert own is not None
    assert own is identity()
    assert (own.fingerprint.function, len(own.fingerprint.digest)) == ("sha-256", 32)

    identity.cache_clear()
    monkeypatch.setattr(dtls, "find_spec", lambda name: None)
    assert (installed(), identity()) == (False, None)
    identity.cache_clear()
