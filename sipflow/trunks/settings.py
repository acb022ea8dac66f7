"""What an operator can set about a trunk's registration, health checks and inbound credentials."""

from dataclasses import dataclass, field

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest.algorithms import ALGORITHMS, find_algorithm

SHORTEST_EXPIRES_S = 10  # below it refreshes cost more than they give
LONGEST_EXPIRES_S = 86_400


@dataclass(frozen=True, slots=True)
class RegisterSettings:
    """How a trunk registers. All times are seconds.

    Attributes:
        expires: how long a registration is asked to last; the registrar may grant less, 10 to 86400.
        first_retry_s: pause after the first failure of a trunk that was never registered; it doubles each time. After
            that the first pause is 1 s.
        longest_retry_s: where the doubling ends.
        rejected_retry_s: pause after the registrar has refused us (403, wrong password, unknown user), which trying
            again does not mend and which locks accounts and bans addresses; it doubles each time.
        longest_rejected_retry_s: where that doubling ends.

    Raises:
        LocalProtocolError: a value is outside its range. The sentence begins with `register.` and the field's name.
    """

    expires: int = 300
    first_retry_s: float = 0.5
    longest_retry_s: float = 300.0
    rejected_retry_s: float = 300.0
    longest_rejected_retry_s: float = 3600.0

    def __post_init__(self) -> None:
        if not SHORTEST_EXPIRES_S <= self.expires <= LONGEST_EXPIRES_S:
            raise LocalProtocolError(
                f"register.expires: {self.expires} is not in {SHORTEST_EXPIRES_S}..{LONGEST_EXPIRES_S} seconds"
            )
        for name, value, least in (
            ("first_retry_s", self.first_retry_s, 0.1),
            ("longest_retry_s", self.longest_retry_s, 1.0),
            ("rejected_retry_s", self.rejected_retry_s, 1.0),
            ("longest_rejected_retry_s", self.longest_rejected_retry_s, 1.0),
        ):
            if not least <= value <= LONGEST_EXPIRES_S:
                raise LocalProtocolError(f"register.{name}: {value} is not in {least}..{LONGEST_EXPIRES_S} seconds")


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How a trunk's far end is watched with OPTIONS (RFC 3261 §11).

    Attributes:
        interval_s: seconds between two questions, 5 to 3600.
        misses: unanswered questions in a row after which the far end counts as down, 1 to 10.

    Raises:
        LocalProtocolError: a value is outside its range. The sentence begins with `health.` and the field's name.
    """

    interval_s: float = 30.0
    misses: int = 2

    def __post_init__(self) -> None:
        if not 5.0 <= self.interval_s <= 3600.0:
            raise LocalProtocolError(f"health.interval_s: {self.interval_s} is not in 5..3600 seconds")
        if not 1 <= self.misses <= 10:
            raise LocalProtocolError(f"health.misses: {self.misses} is not in 1..10")


@dataclass(frozen=True, slots=True)
class InboundAuth:
    """What a caller through a trunk must prove to know (RFC 3261 §22.2).

    Attributes:
        realm: what our challenge names; the far end chooses its password by it.
        username, password: the only account; the password appears in no repr.
        algorithms: offered digest algorithms.

    Raises:
        LocalProtocolError: a field is empty or an algorithm unknown. The sentence begins with `inbound_auth.` and the
            field's name.
    """

    realm: str
    username: str
    password: str = field(repr=False)
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")

    def __post_init__(self) -> None:
        for name, text in (("realm", self.realm), ("username", self.username)):
            if not text or not text.isprintable():
                raise LocalProtocolError(f"inbound_auth.{name}: it is empty, or holds characters that do not print")
        if not self.password:
            raise LocalProtocolError("inbound_auth.password: it is empty; anybody could call")
        unknown = [name for name in self.algorithms if find_algorithm(name) is None]
        if unknown or not self.algorithms:
            what = f"{unknown[0]!r} is unknown" if unknown else "there is none"
            known = ", ".join(algorithm.name for algorithm in ALGORITHMS.values())
            raise LocalProtocolError(f"inbound_auth.algorithms: {what}; choose from {known}")
