"""Whether and how a stream is protected: what a trunk wants against what a description has (RFC 4568, 5763, 8643)."""

from ipaddress import ip_address

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import Agreed, Capabilities, Encryption, Keying, LocalMedia, SrtpKeys
from sipflow.sdp.crypto import Crypto, own_crypto, read_cryptos
from sipflow.sdp.description import MediaDescription, SessionDescription
from sipflow.sdp.fingerprint import (
    ACTIVE,
    ACTPASS,
    HOLDCONN,
    PASSIVE,
    DtlsTerms,
    read_fingerprints,
    read_setup,
    read_tls_id,
)

Protection = Crypto | DtlsTerms  # the peer's line that is taken, or what DTLS is to do

_PLAIN = frozenset({"RTP/AVP", "RTP/AVPF"})  # RFC 3551, RFC 4585; with keys they are encrypted too (RFC 8643 §3)
_SECURE = frozenset({"RTP/SAVP", "RTP/SAVPF"})  # RFC 3711, RFC 5124; DTLS under these names is from before RFC 5764
_DTLS = frozenset({"UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"})  # RFC 5764 §9
_SAID = 4  # how many reasons a refusal gives
_DTLS_PROFILE = "UDP/TLS/RTP/SAVP"


def offered_cryptos(local: LocalMedia, capabilities: Capabilities, agreed: Agreed | None) -> tuple[Crypto, ...]:
    """List the `a=crypto` lines of our offer: all, or in a call that has keys, its own again (RFC 4568 §7.1.4)."""
    if capabilities.srtp is Encryption.OFF:
        return ()
    if agreed is not None:
        line = agreed.srtp.line if agreed.srtp is not None else None
        return (line,) if line is not None else ()
    if capabilities.keying is Keying.DTLS:
        return ()
    return tuple(own_crypto(tag, name, local.secret) for tag, name in enumerate(capabilities.offered_suites, 1))


def offers_dtls(local: LocalMedia, capabilities: Capabilities, agreed: Agreed | None) -> bool:
    """Whether our offer asks for a DTLS handshake, or for keeping the one there was."""
    if capabilities.srtp is Encryption.OFF or local.fingerprint is None:
        return False
    return capabilities.keying is Keying.DTLS if agreed is None else agreed.dtls is not None


def offer_protocol(local: LocalMedia, capabilities: Capabilities) -> str:
    """Give the profile of a first offer.

    Optional encryption is offered under the name of the unencrypted profile (RFC 8643 §3.1): whoever does not know the
    keys passes over them and answers in the clear, where a second stream or an unknown profile is refused by many.
    """
    if capabilities.srtp is not Encryption.REQUIRED:
        return "RTP/AVP"
    return _DTLS_PROFILE if offers_dtls(local, capabilities, None) else "RTP/SAVP"


def offer_lines(local: LocalMedia, capabilities: Capabilities, agreed: Agreed | None) -> list[str]:
    """Write what protects the stream that we offer."""
    if offers_dtls(local, capabilities, agreed):
        return [f"a=setup:{ACTPASS}", f"a=fingerprint:{local.fingerprint}"]  # RFC 5763 §5, RFC 8842 §5.2
    return [f"a=crypto:{line}" for line in offered_cryptos(local, capabilities, agreed)]


def answer_lines(protection: Protection | None, local: LocalMedia) -> list[str]:
    """Write what protects the stream that we answer: the same tag and suite with our key (RFC 4568 §5.1.2)."""
    if isinstance(protection, Crypto):
        return [f"a=crypto:{own_crypto(protection.tag, protection.name, local.secret)}"]
    if protection is None:
        return []
    return [f"a=setup:{ACTIVE if protection.active else PASSIVE}", f"a=fingerprint:{local.fingerprint}"]


def keys_of(protection: Protection | None, local: LocalMedia) -> SrtpKeys | None:
    """Put together both sides' keys, where the descriptions have them."""
    if not isinstance(protection, Crypto):
        return None
    ours, theirs = own_crypto(protection.tag, protection.name, local.secret), protection.keys[0]
    return SrtpKeys(protection.suite, ours.keys[0].key, theirs.key, theirs.mki, ours)


def protection_of(
    description: SessionDescription,
    medium: MediaDescription,
    local: LocalMedia,
    capabilities: Capabilities,
    *,
    agreed: Agreed | None = None,
    offered: tuple[Crypto, ...] | None = None,
) -> Protection | None:
    """Say how a stream of the peer's description is protected; None for a stream in the clear.

    Args:
        description, medium: the peer's.
        local, capabilities: ours.
        agreed: what the call has so far.
        offered: our `a=crypto` lines when the description is an answer, None when it is an offer.

    Raises:
        RemoteProtocolError: what the peer has and what the trunk allows do not meet: status 488.
    """
    protocol = medium.protocol.upper()
    if protocol not in _PLAIN and (capabilities.srtp is Encryption.OFF or protocol not in _SECURE | _DTLS):
        said = "only RTP is known" if capabilities.srtp is not Encryption.OFF else _UNENCRYPTED
        raise RemoteProtocolError(f"the audio uses {medium.protocol}, {said}", status=488, warning=302)  # §20.43
    if capabilities.srtp is Encryption.OFF:
        return None
    whys: list[str] = []
    answer = offered is not None
    for keying in Keying if capabilities.keying is Keying.SDES else reversed(Keying):
        found: Protection | None = None
        if keying is Keying.SDES:
            if protocol not in _DTLS and (offered or not answer):
                found = _crypto(medium, capabilities, offered, whys)
        elif not answer or offers_dtls(local, capabilities, agreed):
            found = _dtls(description, medium, local, agreed, answer=answer, whys=whys)
        if found is not None:
            return found
    # RFC 8643 §3: keys that cannot be used are passed over in an offer; whoever answers with them uses them.
    if protocol in _PLAIN and capabilities.srtp is Encryption.OPTIONAL and not (answer and whys):
        return None
    raise RemoteProtocolError(_refusal(medium.protocol, whys), status=488)


_UNENCRYPTED = "this trunk allows unencrypted RTP/AVP only (srtp: off)"


def _refusal(protocol: str, whys: list[str]) -> str:
    if not whys:
        return f"the audio uses {protocol} without keys, this trunk requires encryption (srtp: required)"
    return f"the audio uses {protocol}, and its encryption cannot be used: {'; '.join(dict.fromkeys(whys[:_SAID]))}"


def _crypto(
    medium: MediaDescription, capabilities: Capabilities, offered: tuple[Crypto, ...] | None, whys: list[str]
) -> Crypto | None:
    """Find the first line that we can use (RFC 4568 §5.1.2); of an answer, the one that takes a line of ours."""
    cryptos, wrong = read_cryptos(medium.attributes())
    whys.extend(wrong)
    for crypto in cryptos:
        if offered is not None and not any((own.tag, own.suite) == (crypto.tag, crypto.suite) for own in offered):
            whys.append(f"the answer takes line {crypto.tag} with {crypto.name}, which was not offered")
            continue  # RFC 4568 §5.1.3
        why = crypto.why_not(capabilities.suites)
        if not why:
            return crypto
        whys.append(f"{why} is not allowed; this trunk takes {', '.join(capabilities.suites)}")
    return None


def _dtls(
    description: SessionDescription,
    medium: MediaDescription,
    local: LocalMedia,
    agreed: Agreed | None,
    *,
    answer: bool,
    whys: list[str],
) -> DtlsTerms | None:
    """Read what the peer says about DTLS, for this stream or for all (RFC 8122 §5, RFC 4145 §4)."""
    attributes = [*medium.attributes(), *description.session.attributes()]
    fingerprints, wrong = read_fingerprints(attributes)
    whys.extend(wrong)
    if not fingerprints:
        return None
    if local.fingerprint is None:
        whys.append('DTLS-SRTP needs pip install "sipflow[dtls]"')
        return None
    told = dict(reversed(attributes))  # the medium's own before the session's, the first of a name before others
    try:
        setup = read_setup(told.get("setup"), default=PASSIVE if answer else ACTIVE)  # RFC 4145 §4.1
    except RemoteProtocolError as error:
        whys.append(str(error))
        return None
    if setup == HOLDCONN or (answer and setup == ACTPASS):
        whys.append(f"a=setup:{setup} begins no handshake (RFC 5763 §5)")
        return None
    terms = DtlsTerms(setup == PASSIVE, fingerprints, read_tls_id(told.get("tls-id")), not answer)
    if setup != ACTPASS:
        return terms
    before = agreed.dtls if agreed is not None else None
    if before is not None and before.same_association(terms):
        return DtlsTerms(before.active, fingerprints, terms.tls_id)  # RFC 8842 §5.3: as it is
    return DtlsTerms(_begins(medium, description, local), fingerprints, terms.tls_id, terms.offered)


def _begins(medium: MediaDescription, description: SessionDescription, local: LocalMedia) -> bool:
    """Choose who begins, where the peer leaves it to us: we (RFC 5763 §5), unless its address cannot be reached."""
    words = (medium.first("c") or description.session.first("c") or "").split()
    try:
        return ip_address(words[-1]).is_global or not ip_address(local.address).is_global
    except (ValueError, IndexError):
        return True
