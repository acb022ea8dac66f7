"""What an operator can set about webhooks."""

from dataclasses import dataclass, field

from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks

_SHORTEST_SECRET = 16
ALL = "all"  # as a name among `events`


@dataclass(frozen=True, slots=True)
class Settings:
    """How webhooks are signed, sent and tried again. Times are seconds unless the name says otherwise.

    Attributes:
        secret: what requests are signed with; of several the first is the one in use, the others are on their way out
            or in. None at all: nothing is signed. In no repr.
        allow_networks: private networks that webhooks may reach all the same, as in `10.0.0.0/8`.
        allow_http: whether a URL may be `http://`, where anybody on the way can read and change it.
        ca_file: certificates of the authorities that are trusted instead of the system's; "" for the system's.
        timeout_s: within this time a delivery must be answered.
        inbound_timeout_s: within this time the inbound-call webhook must answer, each time it is asked.
        inbound_retries: how often it is asked again when it does not.
        default_agent: who takes a call whose inbound-call webhook gave no usable answer; "" declines the call.
        events_url: where the events of calls go whose agent has no `events_webhook_url`; "" for nowhere.
        events: names of the events that are sent, as in `answered`; `all` for every one.
        retry_first_s, retry_most_s: pause after the first failure, doubled with each further one up to the most.
        give_up_s: age at which a delivery is given up.
        concurrency: deliveries under way at once, at most; `per_endpoint` of them to one host and port.
        keep_logs_days: how long finished deliveries stay in the log; None for ever.

    Raises:
        LocalProtocolError: a value is wrong; the sentence begins with the field's name.
    """

    secret: tuple[str, ...] = field(default=(), repr=False)
    allow_networks: tuple[str, ...] = ()
    allow_http: bool = False
    ca_file: str = ""
    timeout_s: float = 10.0
    inbound_timeout_s: float = 10.0
    inbound_retries: int = 3
    default_agent: str = ""
    events_url: str = ""
    events: tuple[str, ...] = (ALL,)
    retry_first_s: float = 5.0
    retry_most_s: float = 3600.0
    give_up_s: float = 86_400.0
    concurrency: int = 32
    per_endpoint: int = 4
    keep_logs_days: float | None = 30.0

    def __post_init__(self) -> None:
        Networks(self.allow_networks)
        if any(len(secret) < _SHORTEST_SECRET for secret in self.secret):
            raise LocalProtocolError(f"secret: it is shorter than {_SHORTEST_SECRET} characters and could be guessed")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise LocalProtocolError(f"{name}: it is not in {low:g}..{high:g}")
        if self.retry_most_s < self.retry_first_s:
            raise LocalProtocolError("retry_most_s: it is less than retry_first_s")

    @property
    def allowed(self) -> Networks:
        """The networks of `allow_networks`."""
        return Networks(self.allow_networks)

    def wants(self, event: str) -> bool:
        """Whether events of this name are sent."""
        return ALL in self.events or event in self.events


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("timeout_s", 0.1, 120),
    ("inbound_timeout_s", 0.1, 60),
    ("inbound_retries", 0, 10),
    ("retry_first_s", 0.01, 3600),
    ("retry_most_s", 0.01, 86_400),
    ("give_up_s", 1, 30 * 86_400),
    ("concurrency", 1, 1000),
    ("per_endpoint", 1, 1000),
    ("keep_logs_days", 0.01, 3650),
)
