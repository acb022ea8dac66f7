"""What sources may try that belong to no trunk; and what is written about it."""

from structlog.testing import capture_logs

from sipflow.calls.routes import Router, Unread
from sipflow.calls.stranger_settings import StrangerSettings
from sipflow.calls.strangers import Strangers
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Inventory
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Refused
from sipflow.sip.transaction.overload import Busy
from sipflow.trunks.settings import RegisterSettings
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk

SECRET = b"0123456789abcdef"
TRUNK = Trunk(name="pbx", accept_from=Networks(["192.0.2.1"]))
FRIEND, STRANGER, OTHER = Hop("udp", "192.0.2.1", 5060), Hop("udp", "192.0.2.9", 5060), Hop("tcp", "192.0.2.10", 999)
ADVICE = "192.0.2.9 is in no trunk's accept_from and is not the address of any registrar: "


class Watch:
    """Strangers before a clock that is turned by hand."""

    def __init__(self, settings: StrangerSettings | None = None, *, silent: bool = False, trunk: Trunk = TRUNK) -> None:
        self.now = 100.0
        self.router = Router(TrunkTable([trunk], secret=SECRET), Inventory())
        self.strangers = Strangers(settings or StrangerSettings(), self.router, clock=lambda: self.now, silent=silent)

    def tries(self, count: int = 1, *, hop: Hop = STRANGER, users: int = 1, agent: str = "", **of: str) -> list[str]:
        """Send requests, and name what came of each: passed, a status with its Retry-After, or nothing."""
        found = []
        for index in range(count):
            verdict = self.strangers.guard(ask(f"+1206555{index % users:04}", agent=agent, **of), hop)
            found.append("passed" if verdict is None else f"503 {verdict.retry_after_s}" if verdict[0] else "nothing")
        return found


def ask(user: str, *, method: str = "INVITE", agent: str = "", uri: str = "") -> Request:
    request = Request(method, uri or f"sip:{user}@198.51.100.1")
    lines = {
        "Via": "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "From": "<sip:x@192.0.2.9>;tag=1",
        "To": f"<sip:{user}@198.51.100.1>",
        "Call-ID": "1",
        "CSeq": f"1 {method}",
    }
    for name, value in {**lines, **({"User-Agent": agent} if agent else {})}.items():
        request.headers.add(name, value)
    return request


def said(watch: Watch, count: int = 1, **of: object) -> list[str]:
    with capture_logs() as lines:
        watch.tries(count, **of)  # type: ignore[arg-type]
    return [line["event"] for line in lines]


def test_a_stranger_is_handed_on_to_be_refused_and_one_line_says_so() -> None:
    watch = Watch()

    with capture_logs() as lines:
        assert watch.tries() == ["passed"]

    what = (
        "stranger refused from 192.0.2.9 by udp: INVITE +12065550000: " + ADVICE + "add it to trunks.<name>.accept_from"
    )
    assert lines == [{"event": what, "log_level": "warning"}]
    assert (watch.strangers.refused, watch.strangers.shut_out) == (1, ())


def test_too_many_at_once_are_told_503_and_when_to_come_back_and_it_is_said_once() -> None:
    watch = Watch()

    assert watch.tries(10) == ["passed"] * 10
    assert said(watch, 3) == ["stranger flood from 192.0.2.9 by udp: more than 10 requests at once: told 503"]
    assert watch.tries() == ["503 10"]
    watch.now += 1.0
    assert watch.tries(2) == ["passed", "503 10"]
    assert watch.strangers.flooded == 5


def test_a_stranger_who_goes_on_is_shut_out_and_let_in_again_later() -> None:
    watch = Watch()

    assert watch.tries(61)[-1] == "nothing"
    assert (watch.strangers.shut_out, watch.strangers.admit("192.0.2.9"), watch.strangers.scanners) == (
        ("192.0.2.9",),
        False,
        1,
    )
    assert watch.strangers.admit("192.0.2.10")
    watch.now += 600
    assert watch.strangers.admit("192.0.2.9")
    assert watch.strangers.shut_out == ()


def test_each_further_time_is_twice_as_long_and_a_day_at_most() -> None:
    watch, lasted = Watch(StrangerSettings(shut_out_s=30_000.0)), []
    for _ in range(4):
        assert said(watch, agent="sipvicious")[0].startswith("stranger scanner")
        began = watch.now
        while not watch.strangers.admit("192.0.2.9"):
            watch.now += 100
        lasted.append(watch.now - began)

    assert lasted == [30_000, 60_000, 86_400, 86_400]


def test_scanners_are_known_by_their_name() -> None:
    watch = Watch()

    assert said(watch, agent="Friendly-Scanner/1.9") == [
        "stranger scanner from 192.0.2.9 by udp: friendly-scanner: shut out for 600 s"
    ]
    assert watch.tries() == ["nothing"]  # over a connection that was open before


def test_scanners_are_known_by_what_they_do() -> None:
    watch = Watch(StrangerSettings(refusals_burst=1000))

    assert watch.tries(20, users=30) == ["passed"] * 20
    assert said(watch, 21, users=30)[-1] == (
        "stranger scanner from 192.0.2.9 by udp: 21 different users tried in 60 s: shut out for 600 s"
    )


def test_who_guesses_passwords_tries_users_by_register() -> None:
    watch = Watch(StrangerSettings(most_users=2, refusals_burst=100))

    found = watch.tries(3, users=3, method="REGISTER", uri="sip:198.51.100.1")

    assert found == ["passed", "passed", "nothing"]


def test_old_tries_are_forgotten() -> None:
    watch = Watch(StrangerSettings(most_refused=3))
    for _ in range(5):
        assert watch.tries(3) == ["passed"] * 3
        watch.now += 61


def test_a_trunk_is_never_a_stranger_but_may_be_told_to_wait() -> None:
    watch = Watch(StrangerSettings(trunk_requests_per_s=5))

    with capture_logs() as lines:
        assert watch.tries(12, hop=FRIEND, agent="sipvicious") == ["passed"] * 10 + ["503 1"] * 2

    why = "more than 5 new requests a second (sip.strangers.trunk_requests_per_s): told 503"
    assert lines == [
        {"event": "a trunk sends too fast", "source": "udp:192.0.2.1:5060", "why": why, "log_level": "warning"}
    ]
    assert watch.strangers.shut_out == ()


def test_a_trunk_that_is_added_opens_the_door_at_once() -> None:
    watch = Watch()
    watch.tries(61)

    watch.router.trunks.replace([Trunk(name="new", accept_from=Networks(["192.0.2.9"]))])

    assert watch.strangers.admit("192.0.2.9")
    assert watch.tries() == ["passed"]


def test_a_call_to_our_registration_is_no_strangers() -> None:
    trunk = Trunk(name="pbx", sip_domain="pbx.example.com", username="me", password="x", register=RegisterSettings())
    watch = Watch(trunk=trunk)
    uri = f"sip:me@198.51.100.1;line={trunk.registration_token(SECRET)}"

    assert said(watch, 30, agent="sipvicious", uri=uri) == []
    assert watch.strangers.refused == 0


def test_far_ends_that_we_call_are_no_strangers() -> None:
    watch = Watch()
    watch.strangers.vouch("192.0.2.9")

    assert watch.tries(30, agent="sipvicious") == ["passed"] * 30
    watch.now += 14_401
    assert watch.tries(agent="sipvicious") == ["nothing"]


def test_nobody_is_judged_before_all_trunks_are_read() -> None:
    watch = Watch()
    watch.router.unread = Unread("a moment", brief=True)

    assert said(watch, 100, agent="sipvicious") == []


def test_networks_that_are_named_are_never_shut_out() -> None:
    watch = Watch(StrangerSettings(never=("192.0.2.0/24",)))

    assert said(watch, agent="nmap") == ["stranger scanner from 192.0.2.9 by udp: nmap: refused"]
    assert watch.tries(100)[-1] == "503 10"
    assert watch.strangers.admit("192.0.2.9")


def test_whoever_is_to_be_silent_says_nothing_of_a_flood_either() -> None:
    watch = Watch(silent=True)

    assert watch.tries(12) == ["passed"] * 10 + ["nothing"] * 2


def test_unreadable_messages_count_and_their_log_line_is_written_elsewhere() -> None:
    watch = Watch(StrangerSettings(most_refused=2))
    garbage = Refused(None, OTHER, 0, "not a start line")

    with capture_logs() as lines:
        assert [watch.strangers.note(garbage) for _ in range(3)] == [False, False, True]

    assert [line["event"] for line in lines] == [
        "stranger scanner from 192.0.2.10 by tcp: 3 refusals in 60 s: shut out for 600 s"
    ]


def test_a_refusal_is_counted_and_said_once() -> None:
    watch = Watch()
    request, stray = ask("1000"), ask("1000", method="BYE")

    with capture_logs() as lines:
        watch.strangers.guard(request, STRANGER)
        assert watch.strangers.note(Refused(request, STRANGER, 403, "nobody"))
        assert watch.strangers.note(Refused(stray, STRANGER, 481, "no such call"))
        assert not watch.strangers.note(Refused(stray, FRIEND, 481, "no such call"))

    assert [line["event"].partition(": ")[2] for line in lines][1:] == ["BYE 1000: no such call"]
    assert watch.strangers.refused == 2


def test_what_a_stranger_writes_stays_one_short_line_of_characters_that_print() -> None:
    watch = Watch()

    (line,) = said(watch, uri=f"sip:%1b[2J%0d%0a%00{'x' * 500}@198.51.100.1")

    assert line.isprintable()
    assert len(line) < 300


def test_lines_that_are_too_many_are_left_out_and_counted() -> None:
    watch = Watch(StrangerSettings(refusals_burst=1000, most_refused=1000))

    assert len(said(watch, 230)) == 200
    watch.now += 1
    assert said(watch)[0].endswith("(30 lines left out)")


def test_a_flood_from_forged_addresses_does_not_fill_the_memory() -> None:
    watch = Watch(StrangerSettings(most_refused=1))
    for number in range(20_000):
        hop = Hop("udp", f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}", 5060)
        watch.strangers.guard(ask("1"), hop)
        watch.strangers.guard(ask("1"), hop)
        watch.strangers.vouch(hop.host)

    held = vars(watch.strangers)
    assert {name: len(held[name]) for name in ("_tried", "_shut", "_vouched", "_patience")} == {
        "_tried": 0,
        "_shut": 8192,
        "_vouched": 4096,
        "_patience": 16_384,
    }


def test_a_busy_answer_says_for_how_long() -> None:
    watch = Watch(StrangerSettings(refusals_per_s=0.1, refusals_burst=1))
    watch.tries()

    assert watch.strangers.guard(ask("1"), STRANGER) == Busy(100, "too many requests from your address")
