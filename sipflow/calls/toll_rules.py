"""Which numbers may be called, and how much: what an operator can set against toll fraud."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sipflow.errors import LocalProtocolError
from sipflow.numbers.destination import dear_short_code, destination
from sipflow.numbers.number import is_region

HOME, ANY = "home", "any"
_PREFIX = re.compile(r"\+?[0-9*#]{1,20}")
_SEPARATORS = re.compile(r"[ ().-]+")
_SHORT_DIGITS = 6  # up to here it is an extension or a short code
_DIALLED = re.compile(r"\+?[0-9*#]+")


@dataclass(frozen=True, slots=True)
class TollRules:
    """Where calls may go.

    Attributes:
        countries: two letters each; `home` is the trunk's own country, and `any` every one.
        allow: beginnings of numbers that may be called whatever else is said here: `+44`, `+1900555`, `*21`.
        deny: beginnings that may not. Where both fit, the longer one counts, and of two equal ones `deny`.
        premium: whether premium rate, shared cost, personal and satellite numbers may be called.

    Raises:
        LocalProtocolError: a country or beginning is none. The sentence begins with the field's name and a colon.
    """

    countries: tuple[str, ...] = (HOME,)
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    premium: bool = False

    def __post_init__(self) -> None:
        written = tuple(each.lower() if each.lower() in (HOME, ANY) else each.upper() for each in self.countries)
        for given, each in zip(self.countries, written, strict=True):
            if each not in (HOME, ANY) and not is_region(each):
                raise LocalProtocolError(
                    f"countries: {given[:20]!r} is no country: write home, any, or letters like DE"
                )
        object.__setattr__(self, "countries", written)
        for name in ("allow", "deny"):
            cleaned = tuple(_SEPARATORS.sub("", each) for each in getattr(self, name))
            for each in cleaned:
                if _PREFIX.fullmatch(each) is None:
                    raise LocalProtocolError(f"{name}: {each[:20]!r} begins no number: write + and digits, as in +44")
            object.__setattr__(self, name, cleaned)

    def refusal(self, number: str, home: Collection[str]) -> str:
        """Say why a number may not be called, and which rule says so; "" where it may.

        Args:
            number: in E.164, or what is left of it where it is no number of the world.
            home: the trunk's own countries; empty where they are not known.
        """
        allowed, denied = _longest(self.allow, number), _longest(self.deny, number)
        if denied and len(denied) >= len(allowed):
            return f"numbers that begin with {denied} are not called (deny)"
        if allowed or _DIALLED.fullmatch(number) is None:  # a user's name is no number of the world
            return ""
        if not number.startswith("+"):
            return self._refusal_inside(number, home)
        found = destination(number)
        if found.dear and not self.premium:
            return f"it is {found.dear} (premium)"
        return self._refusal_abroad(found.countries, home)

    def _refusal_inside(self, number: str, home: Collection[str]) -> str:
        """Judge what is no number of the world: extensions and short codes may be called, long ones not."""
        if len(number) > _SHORT_DIGITS:
            return "it is in no country that is known here; write + and the country code (countries)"
        dear = next((dear for country in home if (dear := dear_short_code(number, country))), "")
        return f"it is {dear} (premium)" if dear and not self.premium and number.isdigit() else ""

    def _refusal_abroad(self, countries: tuple[str, ...], home: Collection[str]) -> str:
        if ANY in self.countries:
            return ""
        wanted = {*self.countries, *(home if HOME in self.countries else ())}
        if wanted.intersection(countries):
            return ""
        where = countries[0] if len(countries) == 1 else "a country that nobody knows" if not countries else "abroad"
        if HOME in self.countries and not home:
            return f"it is in {where}, and nothing says in which country the trunk is: set its region (countries)"
        return f"it is in {where}, and only {', '.join(sorted(wanted - {HOME})) or 'no country'} is called (countries)"


def _longest(prefixes: tuple[str, ...], number: str) -> str:
    return max((each for each in prefixes if number.startswith(each)), key=len, default="")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be called; None for no end.

    Attributes:
        calls_per_minute: in any 60 seconds.
        calls_per_day: of the day that `limits.time_zone` has.
        minutes_per_day: talked; calls that are up count from their beginning.

    Raises:
        LocalProtocolError: one of them is not more than 0.
    """

    calls_per_minute: int | None = None
    calls_per_day: int | None = None
    minutes_per_day: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls_per_minute", "calls_per_day", "minutes_per_day"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1_000_000:
                raise LocalProtocolError(f"{name}: must be more than 0, not {value:g}")

    def __bool__(self) -> bool:
        return self != NO_BUDGET


NO_BUDGET = Budget()
_NO_RULES: Mapping[str, TollRules] = MappingProxyType({})
_NO_BUDGETS: Mapping[str, Budget] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TollSettings:
    """Rules and budgets of one daemon.

    Attributes:
        rules: of trunks that say nothing of their own.
        trunk_rules: of those that do, by name.
        whole: what all calls together may.
        each_trunk, each_number, each_token: what each may that says nothing of its own; a token is a client of the API.
        trunks: what single trunks may, by name.
    """

    rules: TollRules = TollRules()
    trunk_rules: Mapping[str, TollRules] = field(default_factory=lambda: _NO_RULES)
    whole: Budget = NO_BUDGET
    each_trunk: Budget = NO_BUDGET
    each_number: Budget = NO_BUDGET
    each_token: Budget = NO_BUDGET
    trunks: Mapping[str, Budget] = field(default_factory=lambda: _NO_BUDGETS)
