"""What two sides agree on about their session, and its moments (RFC 4028); a table for each rule."""

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.message import Request, Response
from sipflow.sip.session_timer import (
    Asking,
    SessionSettings,
    SessionTimer,
    concerns_timers,
    is_too_small,
    knows_timers,
    min_se_of,
    session_expires_of,
    settle_again,
    settle_as_uas,
)
from tests.support.peer import Lines

SETTINGS = SessionSettings()
KNOWS = ("Supported", "100rel, Timer")


def invite(*lines: tuple[str, str]) -> Request:
    request = Request("INVITE", "sip:b")
    for name, value in lines:
        request.headers.add(name, value)
    return request


def answer(*lines: tuple[str, str], status: int = 200) -> Response:
    response = Response(status)
    for name, value in lines:
        response.headers.add(name, value)
    return response


def asks(value: str) -> tuple[str, str]:
    return ("Session-Expires", value)


def held(timer: SessionTimer | None) -> tuple[int, bool, int] | None:
    return None if timer is None else (timer.interval_s, timer.we_refresh, timer.min_s)


# The callee's side (§9)


@pytest.mark.parametrize(
    ("lines", "settings", "said", "agreed"),
    [
        # Nobody speaks of timers: nothing is said, and nothing costs anything.
        ((), SETTINGS, (), None),
        ((("Supported", "100rel"),), SETTINGS, (), None),
        # Table 2, a caller who knows timers.
        ((KNOWS,), SETTINGS, (asks("1800;refresher=uas"), ("Require", "timer")), (1800, True, 90)),
        ((KNOWS, asks("600")), SETTINGS, (asks("600;refresher=uas"), ("Require", "timer")), (600, True, 90)),
        ((KNOWS, asks("600;refresher=uas")), SETTINGS, (asks("600;refresher=uas"), ("Require", "timer")),
         (600, True, 90)),
        ((KNOWS, asks("600;refresher=uac")), SETTINGS, (asks("600;refresher=uac"), ("Require", "timer")),
         (600, False, 90)),
        ((KNOWS, asks("600")), SessionSettings(refresher="them"), (asks("600;refresher=uac"), ("Require", "timer")),
         (600, False, 90)),
        ((("Require", "timer"), asks("90")), SETTINGS, (asks("90;refresher=uas"), ("Require", "timer")),
         (90, True, 90)),
        # Table 2, one who does not: a proxy has asked, and we refresh.
        ((asks("600"),), SETTINGS, (asks("600;refresher=uas"),), (600, True, 90)),
        ((asks("600;refresher=uac"),), SETTINGS, (asks("600;refresher=uas"),), (600, True, 90)),
        # No more than we like, no more than was asked, no less than either side's minimum.
        ((KNOWS, asks("7200;refresher=uas")), SETTINGS, (asks("1800;refresher=uas"), ("Require", "timer")),
         (1800, True, 90)),
        ((KNOWS, asks("7200;refresher=uas"), ("Min-SE", "3600")), SETTINGS,
         (asks("3600;refresher=uas"), ("Require", "timer")), (3600, True, 3600)),
        ((KNOWS, ("Min-SE", "3600")), SETTINGS, (asks("3600;refresher=uas"), ("Require", "timer")), (3600, True, 3600)),
        ((KNOWS, asks("600;refresher=uas"), ("Min-SE", "9999")), SETTINGS,
         (asks("600;refresher=uas"), ("Require", "timer")), (600, True, 600)),
        # What cannot be read is not there; what is absurd and cannot be answered 422 is not done.
        ((asks("soon"),), SETTINGS, (), None),
        ((asks("1"),), SETTINGS, (), None),
    ],
)  # fmt: skip
def test_the_callees_2xx(
    lines: Lines, settings: SessionSettings, said: Lines, agreed: tuple[int, bool, int] | None
) -> None:
    settled = settle_as_uas(invite(*lines), settings, None, now=0.0)

    assert (settled.lines, held(settled.timer)) == (said, agreed)


@pytest.mark.parametrize(
    ("ours", "lines", "said", "agreed"),
    [
        # A re-INVITE that says nothing keeps the timer; of who knows no timers we refresh.
        (False, (), (asks("600;refresher=uas"),), (600, True, 90)),
        (True, (), (asks("600;refresher=uas"),), (600, True, 90)),
        (False, (KNOWS,), (asks("600;refresher=uac"), ("Require", "timer")), (600, False, 90)),
        (True, (KNOWS,), (asks("600;refresher=uas"), ("Require", "timer")), (600, True, 90)),
        (True, (asks("1"),), (asks("600;refresher=uas"),), (600, True, 90)),
        # One that does may change the roles, and the interval.
        (True, (KNOWS, asks("300;refresher=uac")), (asks("300;refresher=uac"), ("Require", "timer")), (300, False, 90)),
    ],
)
def test_a_timer_survives_what_a_reinvite_leaves_out(
    ours: bool, lines: Lines, said: Lines, agreed: tuple[int, bool, int]
) -> None:
    timer = SessionTimer(600, we_refresh=ours, min_s=90, now=0.0)

    settled = settle_as_uas(invite(*lines), SETTINGS, timer, now=100.0)

    assert (settled.lines, held(settled.timer), settled.timer is timer) == (said, agreed, True)
    assert timer.hang_up_at == 100.0 + agreed[0] - (0 if agreed[1] else 32)


@pytest.mark.parametrize(
    ("lines", "small"),
    [((KNOWS, asks("89")), True), ((KNOWS, asks("90")), False), ((asks("1"),), False), ((KNOWS,), False),
     ((KNOWS, asks("x")), False)],
)  # fmt: skip
def test_422_is_only_for_those_who_know_it(lines: Lines, small: bool) -> None:
    assert is_too_small(invite(*lines), SETTINGS) is small


# The caller's side (§7)


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        (SETTINGS, (asks("1800"),)),
        (SessionSettings(expires_s=600, refresher="us"), (asks("600;refresher=uac"),)),
        (SessionSettings(refresher="them"), (asks("1800;refresher=uas"),)),
        (SessionSettings(min_s=300), (asks("1800"), ("Min-SE", "300"))),
    ],
)
def test_what_our_first_invite_asks_for(settings: SessionSettings, lines: Lines) -> None:
    assert Asking(settings).request_lines() == lines


@pytest.mark.parametrize(
    ("lines", "agreed"),
    [
        ((), None),
        ((asks("x"),), None),
        ((asks("1800;refresher=uac"),), (1800, True, 90)),
        ((asks("1800;refresher=uas"),), (1800, False, 90)),
        ((asks("1800"),), (1800, True, 90)),  # it must say who; as it does not, we do
        ((asks("5;refresher=uac"),), (90, True, 90)),  # it must not go below Min-SE
    ],
)
def test_what_the_2xx_to_it_means(lines: Lines, agreed: tuple[int, bool, int] | None) -> None:
    assert held(Asking(SETTINGS).settle(answer(*lines), now=0.0)) == agreed


@pytest.mark.parametrize(
    ("lines", "agreed"),
    [
        ((), (600, True, 90)),  # timers are over by the letter: we go on, and rely on nobody
        ((asks("600;refresher=uas"),), (600, False, 90)),
        ((asks("300;refresher=uac"),), (300, True, 90)),
        ((asks("3;refresher=uac"),), (90, True, 90)),
    ],
)
def test_what_the_2xx_to_a_refresh_means(lines: Lines, agreed: tuple[int, bool, int]) -> None:
    timer = SessionTimer(600, we_refresh=False, min_s=90, now=0.0)

    settle_again(timer, answer(*lines), now=50.0)

    assert held(timer) == agreed
    assert timer.refresh_at == (50.0 + agreed[0] / 2 if agreed[1] else None)


def test_a_422_raises_the_interval_four_times_and_never_to_less() -> None:
    timer, asking = SessionTimer(600, we_refresh=True, min_s=90, now=0.0), Asking(SETTINGS)

    assert not timer.raise_to(answer(("Min-SE", "600"), status=422))
    assert not timer.raise_to(answer(status=422))
    assert [timer.raise_to(answer(("Min-SE", str(least)), status=422)) for least in (700, 800, 900)] == [
        True, True, False,
    ]  # fmt: skip
    assert timer.request_lines() == (asks("800;refresher=uac"), ("Min-SE", "800"))
    assert asking.raise_to(answer(("Min-SE", "3600"), status=422))
    assert asking.request_lines() == (asks("3600"), ("Min-SE", "3600"))
    assert not asking.raise_to(answer(("Min-SE", "none"), status=422))


# Moments (§7.2, §10)


@pytest.mark.parametrize(
    ("interval_s", "ours", "refresh_at", "hang_up_at"),
    [(1800, True, 900.0, 1800.0), (1800, False, None, 1768.0), (90, True, 45.0, 90.0), (90, False, None, 60.0)],
)
def test_half_way_comes_the_refresh_and_without_one_the_bye_at_the_end_or_shortly_before_it(
    interval_s: int, ours: bool, refresh_at: float | None, hang_up_at: float
) -> None:
    timer = SessionTimer(interval_s, we_refresh=ours, min_s=90, now=0.0)

    assert (timer.refresh_at, timer.hang_up_at) == (refresh_at, hang_up_at)
    assert timer.deadline == (refresh_at or hang_up_at)


def test_a_refresh_that_did_not_come_through_is_tried_again_half_way_to_the_end() -> None:
    timer = SessionTimer(90, we_refresh=True, min_s=90, now=0.0)
    timer.wait()
    assert timer.deadline == 90.0

    timer.postpone(now=46.0)
    assert timer.deadline == 68.0
    timer.postpone(now=89.9)
    assert timer.deadline == 90.0  # never more often than each second
    timer.postpone(now=46.0, pause_s=3)
    assert timer.deadline == 49.0


def test_settings_that_rfc4028_forbids_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="min_s: 89 is below 90"):
        SessionSettings(min_s=89)
    with pytest.raises(LocalProtocolError, match="expires_s: 100 is below min_s, 120"):
        SessionSettings(expires_s=100, min_s=120)


def test_who_knows_timers_says_so_in_supported_or_require() -> None:
    assert [knows_timers(invite(line)) for line in (KNOWS, ("Require", "timer"), ("Supported", '"timer, x'))] == [
        True, True, False,
    ]  # fmt: skip
    assert [concerns_timers(invite(*lines)) for lines in ((), (KNOWS,), (asks("9"),), (("Supported", "x"),))] == [
        False, True, True, False,
    ]  # fmt: skip
    assert (session_expires_of(invite()), min_se_of(invite())) == (None, None)
