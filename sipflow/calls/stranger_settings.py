"""What an operator can set about sources that belong to no trunk."""

from dataclasses import dataclass

from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks

# What port scanners and password guessers call themselves; each is found anywhere in User-Agent, in any case.
SCANNERS = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipsscan",
    "sundayddr",
    "pplsip",
    "vaxsipuseragent",
    "vaxasip",
    "smap",
    "iwar",
    "siparmyknife",
    "mr.sip",
    "viproy",
    "sipptk",
    "gulp",
    "conaito",
    "zfreeswitch",
    "nmap",
)
_POSITIVE = ("refusals_per_s", "window_s", "trunk_requests_per_s")
_WHOLE = ("refusals_burst", "most_refused", "most_users")


@dataclass(frozen=True, slots=True)
class StrangerSettings:
    """How much a source may try that belongs to no trunk, before nothing of it is read any more.

    Attributes:
        scanners: pieces of User-Agent that give a scanner away; its source is shut out at the first request.
        refusals_per_s: requests a second that a stranger is refused one by one; more are told 503 and Retry-After.
        refusals_burst: how many may come at once.
        most_refused: a source with more refusals than this within `window_s` is shut out.
        most_users: the same for different numbers and names that it tried.
        window_s: seconds over which that is counted.
        shut_out_s: how long nothing of a source is read, twice as long each further time, a day at most; 0 shuts
            nobody out.
        never: networks that are never shut out, such as those of your own monitoring.
        trunk_requests_per_s: new requests a second from one address of a trunk; more are told 503 and Retry-After,
            without a transaction. A burst may be as large as two seconds' worth.

    Raises:
        LocalProtocolError: a value is outside its range. The sentence begins with the field's name and a colon.
    """

    scanners: tuple[str, ...] = SCANNERS
    refusals_per_s: float = 1.0
    refusals_burst: int = 10
    most_refused: int = 60
    most_users: int = 20
    window_s: float = 60.0
    shut_out_s: float = 600.0
    never: tuple[str, ...] = ()
    trunk_requests_per_s: float = 500.0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not 0 < getattr(self, name) <= 1_000_000:
                raise LocalProtocolError(f"{name}: must be more than 0, not {getattr(self, name):g}")
        for name in _WHOLE:
            if not 1 <= getattr(self, name) <= 1_000_000:
                raise LocalProtocolError(f"{name}: must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.shut_out_s <= 86_400:
            raise LocalProtocolError(f"shut_out_s: {self.shut_out_s:g} is not in 0..86400")
        if any(len(each.strip()) < 3 for each in self.scanners):
            raise LocalProtocolError("scanners: a piece of less than three characters would fit half the world")
        try:
            Networks(self.never)
        except LocalProtocolError as error:
            raise LocalProtocolError(f"never: {error}") from None
