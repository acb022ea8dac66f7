"""TLS: whom we trust, what we show, and what went wrong in words an operator can act on."""

import asyncio
import os
import ssl
from collections.abc import Callable

from sipflow.errors import TransportError
from sipflow.net.identity import NamedPeer
from sipflow.net.settings import TlsSettings
from sipflow.sip.hop import Hop

ContextChooser = Callable[[Hop], ssl.SSLContext | None]

_MINIMUM = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

# X509_V_ERR_* of OpenSSL, as SSLCertVerificationError.verify_code.
_REMEDIES = {
    9: "its certificate is not valid yet: check the clocks on both sides",
    10: "its certificate has expired: it must be renewed there",
    18: "its certificate is self-signed: set tls.ca to that certificate",
    19: "its chain ends in a certificate we do not trust: set tls.ca to its authority",
    20: "we do not trust the authority of its certificate: set tls.ca to that authority's certificate",
    21: "we do not trust the authority of its certificate, or it does not send its chain: set tls.ca",
    23: "its certificate has been revoked",
    62: "its certificate is for another name",
    64: "its certificate does not carry its IP address: use the name that it does carry",
}

_SILENT_END = "the far end closed the connection without a word (does it refuse our TLS version or certificate?)"


class TlsContexts:
    """Makes the contexts of `settings` when they are first needed, and anew after `reload`.

    Args:
        settings: certificates and trust.
        chooser: gives the context of one hop instead, or None to use ours; for trunks with certificates of their own.
    """

    def __init__(self, settings: TlsSettings, chooser: ContextChooser | None = None) -> None:
        self._settings = settings
        self._chooser = chooser
        self._client: ssl.SSLContext | None = None
        self._server: ssl.SSLContext | None = None

    async def client(self, hop: Hop) -> ssl.SSLContext:
        """Give the context for a connection to `hop`; reading the trusted authorities does not hold up the loop.

        Raises:
            TransportError: a file of ours cannot be used.
        """
        chosen = self._chooser(hop) if self._chooser is not None else None
        if chosen is not None:
            return chosen
        if self._client is None:
            self._client = await asyncio.to_thread(client_context, self._settings)
        return self._client

    def server(self) -> ssl.SSLContext:
        """Give the context of our listeners.

        Raises:
            TransportError: a file of ours cannot be used.
        """
        if self._server is None:
            self._server = server_context(self._settings)
        return self._server

    async def reload(self) -> None:
        """Read renewed certificates for the connections to come; those that are open keep theirs.

        Raises:
            TransportError: a file cannot be used; the old certificates stay in use.
        """
        settings = self._settings
        server = await asyncio.to_thread(server_context, settings) if self._server is not None else None
        client = await asyncio.to_thread(client_context, settings) if self._client is not None else None
        self._server, self._client = server, client


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make a context for connections that we open.

    Raises:
        TransportError: a file cannot be used; the sentence says which.
    """
    context = _context(ssl.Purpose.SERVER_AUTH, settings)
    context.check_hostname = False  # `NamedPeer` knows SIP URIs, too
    if settings.verify:
        context.sslobject_class = NamedPeer
    else:
        context.verify_mode = ssl.CERT_NONE
    if settings.client_certificate:
        _load_chain(context, settings, "client_")
    elif settings.certificate:
        _load_chain(context, settings)
    return context


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make a context for our listeners.

    Raises:
        TransportError: a file cannot be used; the sentence says which.
    """
    context = _context(ssl.Purpose.CLIENT_AUTH, settings)
    context.verify_mode = ssl.CERT_REQUIRED if settings.verify_client else ssl.CERT_NONE
    context.num_tickets = 0  # connections last for hours: none is resumed, and two tickets for each cost 10 KiB
    _load_chain(context, settings)
    return context


def _context(purpose: ssl.Purpose, settings: TlsSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(purpose, cafile=settings.ca or None)
    except (OSError, ValueError) as error:
        raise TransportError(f"tls.ca: cannot use {settings.ca}: {reason_of(error)}") from error
    context.minimum_version = _MINIMUM[settings.minimum_version]
    return context


def _load_chain(context: ssl.SSLContext, settings: TlsSettings, which: str = "") -> None:
    """Load `certificate` and `key` of the settings, or those whose names begin with `which`."""
    certificate, key = getattr(settings, f"{which}certificate"), getattr(settings, f"{which}key")
    passphrase: str = getattr(settings, f"{which}key_passphrase")
    asked = []

    def answer() -> str:
        """Stand in for the prompt with which OpenSSL would stop the daemon."""
        asked.append(True)
        if not passphrase:
            raise ValueError(f"the key is encrypted; set tls.{which}key_passphrase")
        return passphrase

    try:
        context.load_cert_chain(certificate, key, password=answer)
    except (OSError, ValueError) as error:
        why = reason_of(error)
        if asked and isinstance(error, ssl.SSLError):
            why = f"tls.{which}key_passphrase does not open it ({why})"
        raise TransportError(f"cannot use certificate {certificate} with key {key}: {why}") from error


def explain(error: BaseException, hop: Hop) -> str:
    """Say in one sentence why a connection to `hop` failed."""
    host = f"[{hop.host}]" if ":" in hop.host else hop.host
    place = f"{hop.server_name} ({host}:{hop.port})" if hop.server_name else f"{host}:{hop.port}"
    return f"{hop.transport.upper()} to {place} failed: {reason_of(error)}"


def reason_of(error: BaseException) -> str:
    """Say what went wrong with a connection or a file, in words and without a place."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _REMEDIES.get(error.verify_code)
        return f"{remedy} ({error.verify_message})" if remedy else error.verify_message
    if isinstance(error, ssl.SSLError):
        return _alert((error.reason or str(error)).lower().replace("_", " "))
    if isinstance(error, TransportError | ValueError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionAbortedError) and "handshake" in str(error):
        return "the far end did not end the TLS handshake in time (does it speak TLS on this port?)"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(error, OSError):  # asyncio puts words of its own into `strerror` where connecting fails
        return (os.strerror(error.errno) if error.errno else "") or error.strerror or str(error) or _SILENT_END
    return str(error) or type(error).__name__


def _alert(reason: str) -> str:
    """Add to OpenSSL's words what they mean here."""
    if "wrong version number" in reason or "http request" in reason:
        return f"the far end does not speak TLS on this port ({reason})"
    if "version" in reason or "unsupported protocol" in reason:
        return f"no TLS version in common ({reason}): see tls.minimum_version"
    if "certificate required" in reason or "handshake failure" in reason:
        return f"the far end refused us ({reason}): it may want a client certificate, set tls.client_certificate"
    if "pem lib" in reason or "no start line" in reason:
        return "one of the two is no PEM file, or is damaged"
    if "key values mismatch" in reason:
        return "the key does not belong to the certificate"
    if "unknown ca" in reason or "bad certificate" in reason:
        return f"the far end does not trust the certificate we show ({reason})"
    return reason
