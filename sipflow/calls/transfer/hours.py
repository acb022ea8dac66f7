"""When people are there: opening hours in a time zone."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sipflow.errors import LocalProtocolError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_MIDNIGHT = time(0, 0)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """One span of one weekday.

    Attributes:
        weekday: 0 for Monday to 6 for Sunday: the day on which it begins.
        opens, closes: local time; one that closes at or before it opens goes on after midnight. Midnight as an end is
            the end of the day.
    """

    weekday: int
    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours of a week; without any, somebody is always there.

    Attributes:
        zone: an IANA time zone; its changes of the clock are heeded.
        openings: in any order; they may overlap.
    """

    zone: ZoneInfo
    openings: tuple[Opening, ...] = ()

    def open_at(self, now: datetime) -> bool:
        """Say whether somebody is there.

        Args:
            now: with a time zone, any.
        """
        if not self.openings:
            return True
        local = now.astimezone(self.zone)
        return any(self._within(opening, local) for opening in self.openings)

    def _within(self, opening: Opening, local: datetime) -> bool:
        clock = local.time().replace(tzinfo=None)
        overnight = opening.closes <= opening.opens
        if local.weekday() == opening.weekday:
            return opening.opens <= clock and (overnight or clock < opening.closes)
        yesterday = (local.weekday() - 1) % 7
        return overnight and yesterday == opening.weekday and clock < opening.closes

    def next_open(self, now: datetime) -> datetime | None:
        """Say when somebody is there next, UTC; `now` itself if that is so already, None for never within a week."""
        if self.open_at(now):
            return now
        return min((at for at in self._moments(now) if at > now and self.open_at(at)), default=None)

    def _moments(self, now: datetime) -> Iterator[datetime]:
        """Give every moment of a week, UTC, at which it may open: each opening, and each change of the clock.

        What opens in an hour that comes twice may open twice; what opens in one that is left out opens at the change.
        """
        yield from self._changes(now.astimezone(UTC).replace(microsecond=0))
        today = now.astimezone(self.zone).date()
        for day in (today + timedelta(days=days) for days in range(8)):
            for opening in (each for each in self.openings if each.weekday == day.weekday()):
                for fold in (0, 1):
                    yield datetime.combine(day, opening.opens, self.zone).replace(fold=fold).astimezone(UTC)

    def _changes(self, now: datetime) -> Iterator[datetime]:
        """Give the moments of a week at which the clock is put on or back, to the second."""
        for begin, end in pairwise(now + timedelta(days=days) for days in range(8)):
            before = self._offset(begin)
            if before == self._offset(end):
                continue
            low, high = 0, (end - begin) // _SECOND
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self._offset(begin + middle * _SECOND) == before else (low, middle)
            yield begin + high * _SECOND

    def _offset(self, at: datetime) -> timedelta | None:
        return at.astimezone(self.zone).utcoffset()


def read_hours(timezone: str, schedule: Iterable[Mapping[str, object]]) -> Hours:
    """Read opening hours in the shape of the API.

    Args:
        timezone: IANA name, such as `Europe/Berlin`.
        schedule: `{"weekday": "monday", "interval": [{"from": "09:00", "to": "17:30"}]}` for each day; several
            intervals are allowed.

    Raises:
        LocalProtocolError: no such time zone, weekday or time; the sentence begins with the field.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LocalProtocolError(
            f"timezone: {timezone[:80]!r} is no IANA time zone; write one such as Europe/Berlin"
        ) from None
    return Hours(zone, tuple(opening for day in schedule for opening in _openings(day)))


def _openings(day: Mapping[str, object]) -> Iterable[Opening]:
    weekday = str(day.get("weekday", "")).lower()
    if weekday not in WEEKDAYS:
        raise LocalProtocolError(f"schedule: weekday {weekday[:40]!r} is none of {', '.join(WEEKDAYS)}")
    intervals = day.get("interval", ())
    if not isinstance(intervals, list | tuple):
        raise LocalProtocolError(f"schedule: the interval of {weekday} must be a list of from and to")
    for interval in intervals:
        if not isinstance(interval, Mapping):
            raise LocalProtocolError(f"schedule: an interval of {weekday} must have from and to")
        opens, closes = (_clock(weekday, key, interval.get(key)) for key in ("from", "to"))
        yield Opening(WEEKDAYS.index(weekday), opens, closes)


def _clock(weekday: str, key: str, text: object) -> time:
    match = _CLOCK.fullmatch(str(text))
    if match is None:
        raise LocalProtocolError(f"schedule: {key} of {weekday} must be a time such as 09:00, not {str(text)[:40]!r}")
    return _MIDNIGHT if match[1] is None else time(int(match[1]), int(match[2]))
