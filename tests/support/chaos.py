"""A far end that says anything at any moment, and an app that does anything: what is left must still be nothing."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

from sipflow.errors import LocalProtocolError, ProtocolError
from sipflow.sip.digest import Account
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import (
    Confirmed,
    Ended,
    Event,
    InfoAnswered,
    InfoReceived,
    MessageAnswered,
    MessageReceived,
    OfferAnswered,
    OfferReceived,
    ReferEnded,
    ReferReceived,
    UpdateAnswered,
)
from sipflow.sip.session_timer import SessionSettings
from sipflow.sip.stack import Settings
from sipflow.sip.usage.invite import InviteUsage
from sipflow.sip.usage.referral import Referral
from sipflow.sip.usage.referred import Referred
from sipflow.sip.usage.uac import UacInvite
from sipflow.sip.usage.uas import UasInvite
from tests.support.calls import SDP, plan_to
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire

METHODS = ("INVITE", "INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "OPTIONS", "PRACK", "REFER", "REFER", "NOTIFY",
           "NOTIFY", "SUBSCRIBE", "MESSAGE", "FROB")  # fmt: skip
STATUSES = (100, 180, 183, 199, 200, 200, 202, 301, 401, 407, 408, 422, 481, 486, 487, 491, 500, 503, 603)
CONTACTS = ("<sip:x@x>", "<tel:+1>", "*", "", "<sips:x@x>", "<sip:x@0.0.0.0>", "<sip:x@x;transport=tcp?H=1>")
CHALLENGES = [(name, f'Digest realm="r", nonce="n{n}"{more}') for name in ("WWW-Authenticate", "Proxy-Authenticate")
              for n in (1, 2) for more in ("", ", stale=true", ', qop="auth-int"')]  # fmt: skip
LINES: Sequence[Lines] = (
    *[()] * 20,
    *[(challenge,) for challenge in CHALLENGES],
    (("Require", '"a, b'),),
    (("Reason", 'Q.850;text="x, y'),),
    (("Record-Route", "<tel:1>"),),
    (("Record-Route", "<sip:r;lr>, <sip:q>"),),
    (("Content-Type", "multipart/mixed;boundary=x"),),
    (("Accept", "?"),),
    (("Info-Package", "z"),),
    (("Expires", "3"),),
    *[(("Supported", "100rel"),)] * 4,
    (("Require", "100rel"),),
    *[(("Require", "100rel"), ("RSeq", str(number))) for number in (1, 2, 3)],
    (("RAck", "1 1 INVITE"),),
    (("RAck", "x"),),
    *[(("Supported", "timer"), ("Session-Expires", value)) for value in ("90;refresher=uac", "95", "1", "x", "9" * 9)],
    (("Session-Expires", "90;refresher=uas"), ("Allow", "UPDATE, INVITE")),
    (("Min-SE", "300"),),
    (("Min-SE", "4294967295"), ("Supported", "timer")),
    *[(("Refer-To", "<sip:carol@c?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>"), ("Refer-Sub", sub))
      for sub in ("true", "false")],
    (("Refer-To", "<sip:%00@c?%0d=1>"),),
    *[(("Event", event), ("Subscription-State", state)) for event in ("refer", "refer;id=2", '"')
      for state in ("active;expires=5", "terminated;reason=x", ";")],
    (("Event", "refer"), ("Expires", "0")),
    *[(("Replaces", f"{call};to-tag=t1;from-tag=t1"),) for call in ("call-1", "ours-1", "?")],
    (("Target-Dialog", "call-1;local-tag=t1;remote-tag=x"), ("Refer-To", "<sip:c>")),
)  # fmt: skip
FRAGMENTS = (b"SIP/2.0 100 Trying", b"SIP/2.0 200 OK", b"SIP/2.0 486 Busy", b"SIP/2.0 9", b"")
NOISE = (b'"', b",", b"<", b">", b";", b"\r\n", b" ", b"%00", b"\x00", b"z" * 300)
AFTER_THE_END = (
    Confirmed,
    OfferReceived,
    OfferAnswered,
    UpdateAnswered,
    InfoReceived,
    InfoAnswered,
    MessageReceived,
    MessageAnswered,
)


class Madman(Peer):
    """Says what is right often enough to get somewhere, and anything else the rest of the time."""

    def __init__(self, wire: Wire, host: str, dice: Random) -> None:
        super().__init__(wire, host, transport=dice.choice(("udp", "udp", "tcp")))
        self.dice = dice
        self.dialogs: list[tuple[str, str, str]] = []  # Call-ID, our tag, theirs
        self.cseq = 50

    def arrive(self, data: bytes, hop: Hop) -> None:
        with suppress(ProtocolError, AssertionError):  # what we sent was broken, and so is what comes back
            super().arrive(data, hop)
            self._react(self.heard[-1])

    def _react(self, message: Request | Response) -> None:
        dice = self.dice
        if isinstance(message, Response):
            if (message.status, message.cseq.method) == (200, "INVITE") and dice.random() < 0.8:
                self.dialogs.append((message.call_id, message.from_.tag or "", message.to.tag or ""))
                self._within("ACK", self.dialogs[-1], message.cseq.number)
            if "RSeq" in message.headers and dice.random() < 0.5:
                self.dialogs.append((message.call_id, message.from_.tag or "", message.to.tag or ""))
                self._acknowledge(message)
        elif message.method != "ACK" and dice.random() < 0.7:
            status = dice.choice((180, 183, 200, 200, 200, 486, 491)) if message.method == "INVITE" else 200
            self.reply(message, status, tag="t1", body=SDP if message.method == "INVITE" else b"")
            self.dialogs.append((message.call_id, message.to.tag or "t1", message.from_.tag or ""))

    def _acknowledge(self, response: Response) -> None:
        call_id, ours, theirs = self.dialogs[-1]
        self.cseq += 1
        rack = (("RAck", f"{response.headers.get('RSeq')} {response.headers.get('CSeq')}"),)
        body = self.dice.choice((b"", b"", SDP))
        self.ask("PRACK", "n", call_id=call_id, from_tag=ours, to_tag=theirs, cseq=self.cseq, body=body, headers=rack)

    def _within(self, method: str, dialog: tuple[str, str, str], cseq: int) -> None:
        call_id, ours, theirs = dialog
        body, headers = self.dice.choice((b"", SDP)), self.dice.choice(LINES)
        wanted = {"NOTIFY": "Event", "SUBSCRIBE": "Event", "REFER": "Refer-To"}.get(method)
        if wanted is not None and self.dice.random() < 0.8:
            headers = self.dice.choice([lines for lines in LINES if wanted in dict(lines)])
            body = self.dice.choice(FRAGMENTS) if method == "NOTIFY" else b""
        self.ask(method, "n", call_id=call_id, from_tag=ours, to_tag=theirs, cseq=cseq, body=body, headers=headers)

    def speak(self) -> None:
        """Say one thing."""
        dice = self.dice
        requests = [one for one in self.heard[-12:] if isinstance(one, Request) and one.method != "ACK"]
        with suppress(ProtocolError):
            if self.dialogs and dice.random() < 0.5:
                self.cseq += 1
                asked = any(one.method == "REFER" for one in requests)
                method = "NOTIFY" if asked and dice.random() < 0.4 else dice.choice(METHODS)
                self._within(method, dice.choice(self.dialogs[-4:]), self.cseq)
            elif requests and dice.random() < 0.5:
                body, contact = dice.choice((b"", SDP)), dice.choice((None, *CONTACTS))
                tag, lines = dice.choice(("t1", "t1", "t2", None)), dice.choice(LINES)
                request = dice.choice(requests)
                self.reply(request, dice.choice(STATUSES), tag=tag, headers=lines, body=body, contact=contact)
            else:
                self._anything()

    def _anything(self) -> None:
        dice = self.dice
        like: dict[str, Any] = {"call_id": f"call-{dice.randrange(3)}", "cseq": dice.randrange(40)}
        if self.heard and dice.random() < 0.7:
            heard = dice.choice(self.heard[-20:])
            from_, to = (heard.from_, heard.to) if isinstance(heard, Response) else (heard.to, heard.from_)
            like = {"call_id": heard.call_id, "from_tag": from_.tag or "t1", "to_tag": to.tag or ""}
            like["cseq"] = heard.cseq.number + dice.randrange(2)
            like["branch"] = dice.choice(("", heard.branch))
        headers = (*dice.choice(LINES), ("Contact", dice.choice(CONTACTS)))
        self.ask(dice.choice(METHODS), "n", body=dice.choice((b"", SDP)), headers=headers, **like)

    def tell(self, message: Request | Response | bytes, to: str) -> None:
        data = bytes(message)
        super().tell(_mangled(data, self.dice) if self.dice.random() < 0.1 else data, to)


def _mangled(data: bytes, dice: Random) -> bytes:
    at, size = dice.randrange(len(data)), dice.randrange(1, 30)
    return dice.choice((data[:at] + data[at + size :], data[:at] + dice.choice(NOISE) + data[at:], data[:at])) or b"x"


class Whim:
    """An app that rings, answers, refuses, offers and hangs up as it likes, on whatever call it remembers."""

    def __init__(self, wire: Wire, dice: Random) -> None:
        self.dice = dice
        self.offers: list[OfferReceived] = []
        self.referred: list[Referred] = []
        self.referrals: list[Referral] = []
        settings = Settings(
            session=SessionSettings(expires_s=dice.choice((90, 1800)), refresher=dice.choice(("auto", "us", "them"))),
            refer=dice.random() < 0.8,
            message=dice.random() < 0.8,
            replaces=dice.random() < 0.8,
        )
        self.node: Node = wire.node("n", self.hear, settings=settings)

    def hear(self, _node: Node, event: Event) -> None:
        if isinstance(event, OfferReceived):
            self.offers.append(event)
        elif isinstance(event, ReferReceived):
            self.referred.append(event.referred)
        elif isinstance(event, MessageReceived) and event.usage is None and self.dice.random() < 0.8:
            self.node.perform(self.node.ua.respond(event.transaction, 200, now=self.node.wire.now))

    def act(self) -> None:
        """Do one thing."""
        calls = list(self.node.calls)[-3:]
        with suppress(LocalProtocolError):  # it is often told that it may not
            if not calls or self.dice.random() < 0.1:
                self._place()
            elif self.offers and self.dice.random() < 0.3:
                self._decide(self.dice.choice(self.offers[-2:]))
            elif self.referred and self.dice.random() < 0.3:
                self.node.perform(self.dice.choice(self._verdicts(self.referred[-1]))())
            else:
                self.node.perform(self.dice.choice(self._deeds(self.dice.choice(calls)))())

    def _place(self) -> None:
        accounts = self.dice.choice(((), (Account("a", "b"),)))
        body = self.dice.choice((b"", SDP, b"x" * 1400))
        call_id = f"ours-{self.dice.randrange(10**6)}"
        self.node.place(replace(plan_to("p", call_id=call_id, body=body), accounts=accounts))

    def _decide(self, offer: OfferReceived) -> None:
        usage, now = offer.usage, self.node.wire.now
        accepts = self.dice.random() < 0.6
        self.node.perform(
            usage.answer_offer(offer.transaction, SDP, now=now)
            if accepts
            else usage.refuse_offer(offer.transaction, 488, "no", now=now)
        )

    def _verdicts(self, referred: Referred) -> list[Callable[[], Any]]:
        now = self.node.wire.now
        return [
            lambda: referred.accept(now=now, expires_s=self.dice.choice((3, 180))),
            lambda: referred.accept(now=now),
            lambda: referred.refuse(now=now),
            lambda: referred.progress(180, now=now),
            lambda: referred.finish(200, now=now),
        ]

    def _refer(self, usage: InviteUsage | None) -> Any:
        now, patience_s = self.node.wire.now, self.dice.choice((2.0, 60.0))
        if usage is not None:
            subscribes = self.dice.random() < 0.8
            referral, outputs = usage.refer("<sip:c>", now=now, subscribes=subscribes, patience_s=patience_s)
        else:
            plan = plan_to("p", method="REFER", body=b"", call_id=f"refer-{self.dice.randrange(10**6)}")
            referral, outputs = self.node.ua.refer(plan, "<sip:c>", now=now, patience_s=patience_s)
        self.referrals.append(referral)
        return outputs

    def _deeds(self, usage: InviteUsage) -> list[Callable[[], Any]]:
        now = self.node.wire.now
        deeds: list[Callable[[], Any]] = [
            lambda: usage.offer(lambda: SDP, now=now),
            lambda: usage.offer(lambda: SDP, now=now, method="UPDATE"),
            lambda: usage.info(b"1", "a/b", now=now),
            lambda: usage.message(b"1", "a/b", now=now),
            lambda: usage.update(now=now),
            lambda: self._refer(self.dice.choice((usage, usage, None))),
            lambda: usage.bye(now=now) if self.dice.random() < 0.3 else [],
        ]
        if isinstance(usage, UacInvite):
            return [*deeds, lambda: usage.cancel(now=now)]
        if isinstance(usage, UasInvite):
            deeds += [lambda: usage.ring(now=now), lambda: usage.answer(SDP, now=now)]
            deeds += [lambda: usage.ring(now=now, status=183, body=SDP, reliable=True)]
            deeds += [lambda: usage.answer(SDP, now=now), lambda: usage.reject(486, now=now)]
        return deeds


def play_chaos(seed: int, *, steps: int = 60) -> Node:
    """Play a few minutes of it, end what is left, and see that each call has ended exactly once."""
    dice = Random(seed)
    wire = Wire(seed=seed)
    wire.weather = replace(wire.weather, loss=dice.choice((0.0, 0.2)), duplication=dice.choice((0.0, 0.2)))
    whim, madman = Whim(wire, dice), Madman(wire, "p", dice)
    at = 0.0
    for _ in range(steps):
        at += dice.choice((0.0, 0.02, 0.1, 0.6, 3.0, 30.0)) * dice.random()
        wire.at(at, dice.choice((whim.act, madman.speak)))
    wire.run(until=at)
    wire.close()
    over: set[InviteUsage] = set()
    for event in whim.node.events:
        if isinstance(event, (*AFTER_THE_END, Ended)):
            assert event.usage not in over, f"{type(event).__name__} after the end"
        if isinstance(event, Ended):
            over.add(event.usage)
    assert over == set(whim.node.calls)
    ended = [event.referral for event in whim.node.events if isinstance(event, ReferEnded)]
    assert sorted(map(id, ended)) == sorted(map(id, whim.referrals))
    return whim.node
