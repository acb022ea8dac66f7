"""DTLS as OpenSSL does it, through pyOpenSSL (the extra `dtls`): imported only where a call needs it."""

import asyncio
import datetime
import hashlib
from contextlib import suppress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from sipflow.media.latch import Address
from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms, Fingerprint

_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764 §4.2
_PROFILES = {  # OpenSSL's name: suite, octets of a key, octets of a salt (RFC 5764 §4.1.2, RFC 7714 §14.2)
    b"SRTP_AES128_CM_SHA1_80": ("AES_CM_128_HMAC_SHA1_80", 16, 14),
    b"SRTP_AEAD_AES_256_GCM": ("AEAD_AES_256_GCM", 32, 12),
    b"SRTP_AEAD_AES_128_GCM": ("AEAD_AES_128_GCM", 16, 12),
    b"SRTP_AES128_CM_SHA1_32": ("AES_CM_128_HMAC_SHA1_32", 16, 14),
}
_HASHES = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}
_DTLS_1_2 = 0xFEFD
_FRAGMENT_BYTES = 1200  # of a flight; with UDP and IPv6 around it, it passes any tunnel
_RECORD_HEADER_BYTES = 13  # RFC 6347 §4.1
_READ_BYTES = 65536
_DAYS = 3650  # longer than any process runs; nobody looks at it


@dataclass(frozen=True, slots=True)
class Identity:
    """How this process identifies itself in handshakes: a self-signed certificate, and OpenSSL's settings.

    Attributes:
        fingerprint: of the certificate, for descriptions.
        context: OpenSSL's, for every handshake.
    """

    fingerprint: Fingerprint
    context: SSL.Context

    def associate(self, terms: DtlsTerms, remote: Address) -> "Association":
        """Begin with one source; nothing is sent yet."""
        return Association(terms, self.context, remote)


def make_identity() -> Identity:
    """Make a key and a certificate for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sipflow")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)  # RFC 5763 §5: both show one
    context.set_tlsext_use_srtp(b":".join(_PROFILES))
    context.use_certificate(certificate)
    context.use_privatekey(key)
    return Identity(Fingerprint("sha-256", certificate.fingerprint(hashes.SHA256())), context)


class Association:
    """One OpenSSL connection with one source, in memory.

    Attributes:
        remote: where what it has to say is sent.
        heard: whether anything has come for it.
        timer: of whoever lets it go on.
        closed: it is not to go on.
    """

    def __init__(self, terms: DtlsTerms, context: SSL.Context, remote: Address) -> None:
        self.remote = remote
        self.heard = False
        self.timer: asyncio.TimerHandle | None = None
        self.closed = False
        self._terms = terms
        self._settled = False
        self._stranger = False
        self._connection = connection = SSL.Connection(context, None)
        connection.set_app_data(self)
        connection.set_ciphertext_mtu(_FRAGMENT_BYTES)
        if terms.active:
            connection.set_connect_state()
        else:
            connection.set_accept_state()

    def accepts(self, certificate: bytes) -> bool:
        """Whether the description names this certificate, given as DER (RFC 8122 §6.2)."""
        digests = {function: make(certificate).digest() for function, make in _HASHES.items()}
        self._stranger = not any(digests[function] == digest for function, digest in self._terms.fingerprints)
        return not self._stranger

    def take(self, datagram: bytes, source: Address) -> None:
        self.remote = source
        self.heard = True
        self._connection.bio_write(datagram)

    def advance(self) -> SrtpKeys | str | None:
        """Do what can be done now: the keys once, or why there will be none, or nothing yet."""
        try:
            if self._settled:
                self._connection.recv(_READ_BYTES)  # nobody sends data; what matters is the answer to repetitions
                return None
            self._connection.do_handshake()
        except SSL.WantReadError:
            return None
        except SSL.Error as error:
            return self._explain(error)
        self._settled = True
        return self._keys()

    def waiting(self) -> list[bytes]:
        """Take what is to be sent: whole records, as many as fit into a datagram (RFC 6347 §4.1.1)."""
        try:
            data = self._connection.bio_read(_READ_BYTES)
        except SSL.Error:
            return []
        datagrams, start, end = [], 0, 0
        while end < len(data):
            size = _RECORD_HEADER_BYTES + int.from_bytes(data[end + 11 : end + 13], "big")
            if end > start and end + size - start > _FRAGMENT_BYTES:
                datagrams.append(data[start:end])
                start = end
            end += size
        return [*datagrams, data[start:end]]

    def pause_s(self) -> float | None:
        """Say after how many seconds what was sent is to be repeated; None when nothing is awaited."""
        return None if self._settled else self._connection.DTLSv1_get_timeout()

    def repeat(self) -> None:
        with suppress(SSL.Error):  # it was repeated too often; the handshake's own end is near then
            self._connection.DTLSv1_handle_timeout()

    def close(self) -> None:
        self.closed = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _keys(self) -> SrtpKeys | str:
        """Cut both sides' keys out of what the handshake made (RFC 5764 §4.2)."""
        known = _PROFILES.get(self._connection.get_selected_srtp_profile())
        if known is None:
            return "the far end has no way to protect packets in common with us (use_srtp, RFC 5764 §4.1.2)"
        suite, key, salt = known
        made = self._connection.export_keying_material(_LABEL, 2 * (key + salt))
        client = made[:key] + made[2 * key : 2 * key + salt]
        server = made[key : 2 * key] + made[2 * key + salt :]
        return SrtpKeys(suite, *((client, server) if self._terms.active else (server, client)))

    def _explain(self, error: SSL.Error) -> str:
        if self._stranger:
            return "the far end's certificate is not the one that its description names (RFC 8122 §6.2)"
        reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
        return f"OpenSSL says: {reasons[0][-1]}" if reasons else f"OpenSSL says: {type(error).__name__}"


def _verify(connection: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _ok: int) -> bool:
    """Answer OpenSSL about a certificate that nobody signed; what it may say besides does not matter."""
    if depth:
        return True
    association: Association = connection.get_app_data()
    return association.accepts(certificate.to_cryptography().public_bytes(serialization.Encoding.DER))
