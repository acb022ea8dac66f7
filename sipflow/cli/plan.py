"""What `sipflow call` is asked for: the options, what is wrong with them, and the INVITE they mean."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from math import inf
from pathlib import Path

from sipflow.audio.wav import WavWriter, read_wav
from sipflow.errors import LocalProtocolError, MediaError, RemoteProtocolError
from sipflow.net.acl import Networks
from sipflow.net.settings import ListenAddress, TlsSettings
from sipflow.net.settings import Settings as NetSettings
from sipflow.rtp.telephone_event import DIGITS
from sipflow.sdp.codecs import CODECS, codec_name
from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri, TelUri, parse_uri
from sipflow.trunks.proxy import parse_outbound_proxy
from sipflow.trunks.trunk import Trunk

RATE_HZ = 8000  # of what is played, heard and recorded


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What was asked for on the command line; see `sipflow call --help`."""

    uri: str
    play: Path | None = None
    tone_hz: int = 440
    seconds: float = 5.0
    caller: str = "sipflow"
    proxy: str = ""
    username: str = ""
    listen: str = ""
    codecs: tuple[str, ...] = ()
    srtp: str = "off"
    srtp_keys: str = "sdes"
    digits: str = ""
    headers: tuple[str, ...] = ()
    record: Path | None = None
    ring_s: float = 60.0
    ca: str = ""
    json: bool = False
    verbose: bool = False


def check_options(options: CallOptions) -> None:
    """Refuse what cannot work, before anybody's telephone rings.

    Raises:
        LocalProtocolError: an option cannot be used as written.
    """
    for name, seconds in (("--seconds", options.seconds), ("--ring-s", options.ring_s)):
        if not 0 < seconds < inf:
            raise LocalProtocolError(f"{name} {seconds:g} is not a time to wait")
    if not 0 < options.tone_hz < RATE_HZ // 2:
        raise LocalProtocolError(f"--tone {options.tone_hz} is not 1 to {RATE_HZ // 2 - 1} Hz")
    for codec in options.codecs:
        if codec_name(codec) is None:
            raise LocalProtocolError(f"--codec {codec!r} is none of {', '.join(CODECS)}")
    make_trunk(options)
    for digit in options.digits:
        if digit not in DIGITS:
            raise LocalProtocolError(f"--digits {options.digits!r}: {digit!r} is none of 0-9 * # A-D")
    if options.play is not None:
        try:
            read_wav(options.play.read_bytes())
        except OSError as error:
            raise LocalProtocolError(f"--play {options.play} cannot be read: {error.strerror}") from None
        except MediaError as error:
            raise LocalProtocolError(f"--play {options.play}: {error}") from None


@contextmanager
def recording(file: Path | None) -> Iterator[WavWriter | None]:
    """Open the file to record into, if there is one, and complete it in the end.

    Raises:
        LocalProtocolError: it cannot be written.
    """
    if file is None:
        yield None
        return
    try:
        opened = file.open("wb")
    except OSError as error:
        raise LocalProtocolError(f"--record {file} cannot be written: {error.strerror}") from None
    with opened:
        writer = WavWriter(opened, RATE_HZ)
        try:
            yield writer
        finally:
            writer.finish()


def net_settings(options: CallOptions) -> NetSettings:
    """Say which sockets to open.

    Raises:
        LocalProtocolError: our own address is none.
    """
    if options.listen:
        hosts = [options.listen.strip("[]")]
    else:
        hosts = ["0.0.0.0", "::"] if "[" in options.uri or "[" in options.proxy else ["0.0.0.0"]  # noqa: S104
    for host in hosts:
        try:
            ip_address(host)
        except ValueError:
            raise LocalProtocolError(f"--listen {options.listen!r} is no IP address of this machine") from None
    listen = [ListenAddress(transport, host, 0) for host in hosts for transport in ("udp", "tcp")]
    return NetSettings(listen=tuple(listen), tls=TlsSettings(ca=options.ca))


def make_plan(options: CallOptions) -> RequestPlan:
    """Turn the options into an INVITE.

    Raises:
        LocalProtocolError: an option cannot be used as written.
    """
    target = _target(options)
    token = os.urandom(8).hex()
    caller = (
        options.caller
        if ":" in options.caller
        else f"sip:{options.caller}@{target.with_address(target.host, None).host_port}"
    )
    try:
        from_ = NameAddr.parse(caller).with_param("tag", token)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"--from {options.caller!r}: {error}") from None
    password = os.environ.get("SIPFLOW_PASSWORD", "")
    return RequestPlan(
        method="INVITE",
        uri=target,
        destination=parse_outbound_proxy(options.proxy) if options.proxy else target,
        from_=from_,
        to=NameAddr("", target),
        call_id=f"{token}@sipflow",
        cseq=1,
        headers=tuple(_header(line) for line in options.headers),
        contact_user=getattr(from_.uri, "user", None) or "sipflow",
        accounts=(Account(options.username, password, None),) if options.username else (),
    )


def make_trunk(options: CallOptions) -> Trunk | None:
    """Make a trunk for the call where its audio is to be encrypted, which a trunk decides.

    Raises:
        LocalProtocolError: a word about encryption is none, or it needs more software.
    """
    if options.srtp == "off":
        return None
    nobody = Networks(["127.0.0.1"])  # a trunk without an address of its own takes calls from somewhere
    try:
        return Trunk("sipflow call", accept_from=nobody, srtp=options.srtp, srtp_keys=options.srtp_keys)
    except LocalProtocolError as error:
        name, _, why = str(error).partition(": ")
        raise LocalProtocolError(f"--{name.replace('_', '-')}: {why}") from None


def _target(options: CallOptions) -> SipUri:
    try:
        uri = parse_uri(options.uri if ":" in options.uri else f"sip:{options.uri}")
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"{options.uri!r} is no address to call ({error}); write sip:user@host") from None
    if isinstance(uri, TelUri) and options.proxy:
        proxy = parse_outbound_proxy(options.proxy)
        return SipUri("sip", uri.number, None, proxy.host, params=(("user", "phone"),))
    if isinstance(uri, SipUri) and not uri.user and uri.host.lstrip("+").isdecimal():
        raise LocalProtocolError(f"{options.uri!r} is a number and no host: write sip:{uri.host}@host")
    if not isinstance(uri, SipUri):
        raise LocalProtocolError(f"{options.uri!r} cannot be called from here: write sip:user@host, or give --proxy")
    return uri


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise LocalProtocolError(f"--header {line!r} is not 'Name: value'")
    return name.strip(), value.strip()
