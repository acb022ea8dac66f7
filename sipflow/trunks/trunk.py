"""A trunk: one account at one provider or PBX, and everything that follows from the fields of its form."""

import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import ip_address

from sipflow.audio.codecs import find_codec
from sipflow.errors import LocalProtocolError
from sipflow.media import dtls
from sipflow.net.acl import Networks
from sipflow.sdp.agreement import SUITES
from sipflow.sdp.codecs import CODECS, codec_name
from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.session_timer import SessionSettings
from sipflow.sip.uri import SipUri, escape_user
from sipflow.trunks.crossing import HeaderSettings, check_carried
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.profiles.catalogue import find_profile
from sipflow.trunks.proxy import (
    TRANSPORTS,
    parse_advertise,
    parse_origination_uri,
    parse_outbound_proxy,
    parse_sip_domain,
)
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.settings import HealthSettings, InboundAuth, RegisterSettings

SRTP = ("off", "optional", "required")
SRTP_KEYS = ("sdes", "dtls")
DTMF = ("auto", "rfc4733", "info", "inband")
TOKEN_PARAM = "line"  # noqa: S105  (the name of the URI parameter, as Asterisk calls it)

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164 §6.2.1: at most 15 digits
_PTIMES_MS = range(10, 61, 10)  # RFC 3551 §4.2: receivers take packets of up to 200 ms; beyond 60 delay is heard
_TOKEN_CHARS = 16  # hexadecimal: 64 bits nobody guesses


@dataclass(frozen=True, slots=True)
class Trunk:
    """One way to and from the telephone world. Checked as a whole when it is made.

    Attributes:
        name: what the configuration calls it.
        phone_number: the number shown to people we call, in E.164; "" for none.
        sip_domain: where calls go, and the domain of From, To and Request-URI: `host`, `host:port`, `[v6]:port`.
        username: the account; user part of From, To and Contact of a registration.
        password: in plain text; appears in no repr.
        outbound_proxy: overrides `sip_domain` as the destination of every call and registration, see
            `parse_outbound_proxy`. With `;lr` it also stands in a Route header (RFC 3261 §8.1.2).
        auth_username: the name that answers challenges, where it is not `username`.
        origination_uri: the address of ours that the provider knows. An IP address in it is what we advertise to this
            trunk unless `advertise` says otherwise; a host name is for people only.
        register: how to register; None does not.
        accept_from: networks whose calls belong to this trunk, besides the addresses of its destination.
        inbound_auth: what a caller must prove to know; None asks nothing.
        health: how to watch the far end with OPTIONS; None does not.
        codecs: in order of preference, each as in `sdp.codecs.CODECS`, in any case. Empty for PCMU and PCMA, and of
            these whichever the caller likes better.
        ptime_ms: audio per RTP packet.
        srtp: "off", "optional" or "required": whether audio is encrypted.
        srtp_keys: "sdes" or "dtls": where we have keys made for it when we call; callers may use either.
        srtp_suites: how it may be encrypted with keys in SDP, in order of preference; empty for all that we know.
        dtmf: how digits go out: "rfc4733" as events in RTP, "info" in SIP INFO, "inband" as tones; "auto" as events
            where the far end takes them, else as tones. Digits that come in are taken in every form, tones with "auto"
            and "inband" where no events were agreed.
        prack: whether early media is announced reliably, and our calls say that we can (RFC 3262).
        region: country of national numbers such as "US"; None reads only international ones.
        transport: "udp", "tcp", "tls", or "" for what DNS says (RFC 3263); an outbound proxy's own wins.
        realm: the only realm whose challenges are answered; None answers any.
        allow_md5: whether MD5 challenges are answered.
        advertise: "host" or "host:port" in Via, Contact and SDP instead of our own address.
        outbound: who is shown on calls out, how numbers are written, and what is tried when it cannot carry one.
        refer: whether calls are handed on by REFER, and what becomes of one that comes.
        session: session timers (RFC 4028).
        headers: which header lines cross to this trunk from a call that one of its own is joined with.
        carry: what its far end does that reaches the far end of a call that one of its own is joined with: "hold",
            "codec" (a change of it), "info" (INFO that is no digit), "messages" (MESSAGE), "identity" (a new
            P-Asserted-Identity). All else is answered here.
        profile: name of the profile that its settings began with, see `profiles.catalogue`.

    Raises:
        LocalProtocolError: a field is wrong, or two contradict each other. The sentence begins with the field's name
            and a colon, as in "password: ...", so that it can be shown at its place in a file or form.
    """

    name: str
    phone_number: str = ""
    sip_domain: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    outbound_proxy: str = ""
    auth_username: str = ""
    origination_uri: str = ""
    register: RegisterSettings | None = None
    accept_from: Networks = field(default_factory=Networks)
    inbound_auth: InboundAuth | None = None
    health: HealthSettings | None = None
    codecs: tuple[str, ...] = ()
    ptime_ms: int = 20
    srtp: str = "off"
    srtp_keys: str = "sdes"
    srtp_suites: tuple[str, ...] = ()
    dtmf: str = "auto"
    prack: bool = True
    region: str | None = None
    transport: str = ""
    realm: str | None = None
    allow_md5: bool = True
    advertise: str = ""
    outbound: OutboundSettings = field(default_factory=OutboundSettings)
    refer: ReferSettings = field(default_factory=ReferSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    headers: HeaderSettings = field(default_factory=HeaderSettings)
    carry: tuple[str, ...] = ("hold", "info", "messages")
    profile: str = "generic"
    _domain: SipUri | None = field(default=None, init=False, repr=False, compare=False)
    _proxy: SipUri | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_texts()
        self._check_media()
        self._read_addresses()
        self._check_account()
        self._check_reach()

    @property
    def domain(self) -> SipUri | None:
        """The bare domain as a URI: `sip_domain`, or else the host of the outbound proxy."""
        if self._domain is None and self._proxy is not None:
            return SipUri("sip", None, None, self._proxy.host)
        return self._domain

    @property
    def destination(self) -> SipUri | None:
        """Where calls and registrations are sent; None for a trunk that only takes calls."""
        if self._proxy is not None:
            return self._with_transport(self._proxy.without_params("lr"))
        return None if self._domain is None else self._with_transport(self._domain)

    @property
    def routes(self) -> tuple[str, ...]:
        """Route values for requests outside a dialog: the outbound proxy if it was written with `;lr`."""
        if self._proxy is None or not self._proxy.has_param("lr"):
            return ()
        return (f"<{self._with_transport(self._proxy)}>",)

    @property
    def aor(self) -> NameAddr | None:
        """The address of record (RFC 3261 §10), without tag; None for a trunk that only takes calls."""
        domain = self.domain
        if domain is None:
            return None
        return NameAddr("", domain.with_user(self.username) if self.username else domain)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """What may answer a challenge."""
        if not self.password:
            return ()
        return (Account(self.auth_username or self.username, self.password, self.realm),)

    @property
    def contact_user(self) -> str:
        """User part of our Contact, escaped."""
        return escape_user(self.username)

    @property
    def registers_as(self) -> tuple[object, ...]:
        """All that a registration depends on: two trunks with the same value need no new one."""
        account = (self.username, self.password, self.auth_username, self.realm, self.allow_md5)
        path = (self.sip_domain, self.outbound_proxy, self.transport, self.advertise)
        return (self.name, *account, *path, self.register)

    def registration_token(self, secret: bytes) -> str:
        """Make the token that our Contact carries (`;line=...`), so that a call can be traced to this registration.

        The same name, username, password and secret give the same token: a binding that an earlier process left at
        the registrar is replaced, not joined. Whoever does not know both secrets cannot make it.

        Args:
            secret: octets that only this installation knows and that outlive a restart.
        """
        key = secret + b"\0" + self.password.encode("utf-8", "surrogateescape")
        text = f"{self.name}\0{self.username}".encode("utf-8", "surrogateescape")
        return hmac.digest(key, text, "sha256").hex()[:_TOKEN_CHARS]

    def _with_transport(self, uri: SipUri) -> SipUri:
        if not self.transport or uri.scheme == "sips" or uri.has_param("transport"):
            return uri
        return SipUri(uri.scheme, None, None, uri.host, uri.port, (("transport", self.transport), *uri.params))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_texts(self) -> None:
        self._set("profile", find_profile(self.profile).name)
        if not self.name or len(self.name) > 64:
            raise LocalProtocolError("name: a trunk's name has 1 to 64 characters")
        for text, key in (
            (self.name, "name"),
            (self.username, "username"),
            (self.auth_username, "auth_username"),
            (self.realm or "", "realm"),
        ):
            if not text.isprintable():
                raise LocalProtocolError(f"{key}: it holds a line end or another character that does not print")
        if self.phone_number and _E164.fullmatch(self.phone_number) is None:
            raise LocalProtocolError(
                f"phone_number: {self.phone_number[:40]!r} is not E.164: + and country code, then digits alone, "
                "as in +12065550100"
            )

    def _check_media(self) -> None:
        self._set("codecs", tuple(_codec(text) for text in self.codecs))
        if self.ptime_ms not in _PTIMES_MS:
            raise LocalProtocolError(f"ptime_ms: {self.ptime_ms} is not one of {', '.join(map(str, _PTIMES_MS))}")
        choices = ((self.srtp, "srtp", SRTP), (self.srtp_keys, "srtp_keys", SRTP_KEYS), (self.dtmf, "dtmf", DTMF))
        for text, key, words in choices:
            if text not in words:
                raise LocalProtocolError(f"{key}: {text!r} is not one of {', '.join(words)}")
        if self.srtp != "off" and self.srtp_keys == "dtls" and not dtls.installed():
            raise LocalProtocolError('srtp_keys: dtls needs more software: pip install "sipflow[dtls]"')
        strange = [name for name in self.srtp_suites if name not in SUITES]
        if strange:
            raise LocalProtocolError(f"srtp_suites: {strange[0]!r} is unknown; choose from {', '.join(SUITES)}")

    def _read_addresses(self) -> None:
        if self.transport and self.transport not in TRANSPORTS:
            raise LocalProtocolError(f"transport: {self.transport!r} is not one of {', '.join(TRANSPORTS)}")
        if self.sip_domain:
            with _field("sip_domain"):
                self._set("_domain", parse_sip_domain(self.sip_domain))
        if self.outbound_proxy:
            with _field("outbound_proxy"):
                self._set("_proxy", parse_outbound_proxy(self.outbound_proxy))
        if self.advertise:
            with _field("advertise"):
                self._set("advertise", parse_advertise(self.advertise))
        if self.origination_uri:
            with _field("origination_uri"):
                origination = parse_origination_uri(self.origination_uri)
            if not self.advertise and _is_literal(origination.host):
                self._set("advertise", origination.host_port)

    def _check_account(self) -> None:
        if self.password and not (self.username or self.auth_username):
            raise LocalProtocolError("password: it is set without username; set username too")
        if self.auth_username and not self.password:
            raise LocalProtocolError("auth_username: it is set without password; set password too")
        if self.outbound.from_user == "username" and not self.username:
            raise LocalProtocolError("outbound.from_user: there is no username to stand in From; set username too")
        if self.name in self.outbound.failover:
            raise LocalProtocolError("outbound.failover: it names the trunk itself")
        check_carried(self.carry)
        if self.register is not None and not self.username:
            raise LocalProtocolError("register: to register, a trunk needs a username")

    def _check_reach(self) -> None:
        if self.destination is not None:
            return
        for wanted, key in ((self.register, "register"), (self.health, "health")):
            if wanted is not None:
                raise LocalProtocolError(f"{key}: it needs a far end; set sip_domain, or outbound_proxy")
        if not self.accept_from:
            raise LocalProtocolError("sip_domain: no call can reach or leave this trunk; set it, or accept_from")


def _codec(text: str) -> str:
    """Give the name of a codec that can be used, for one in any case."""
    name = codec_name(text)
    if name is None:
        near = get_close_matches(text.upper(), map(str.upper, CODECS), n=1)
        meant = f", did you mean {codec_name(near[0])}?" if near else "."
        raise LocalProtocolError(f"codecs: {text[:40]!r} is unknown{meant} There are {', '.join(CODECS)}")
    codec = CODECS[name]
    missing = find_codec(codec.name, codec.clock_rate_hz, codec.channels).missing()
    if missing:
        raise LocalProtocolError(f"codecs: {name} needs {missing}")
    return name


@contextmanager
def _field(name: str) -> Iterator[None]:
    """Put a field's name before the sentence of an error."""
    try:
        yield
    except LocalProtocolError as error:
        raise LocalProtocolError(f"{name}: {error}") from None


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
