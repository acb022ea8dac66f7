"""A certificate authority for tests: every certificate a TLS test needs, made in some milliseconds."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)
_NAMES = ("localhost", "pbx.example.com")
_ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Certificates:
    """One authority and what it signed; and a stranger with an authority of its own.

    Attributes:
        ca: path of the authority's certificate.
        server: for localhost, pbx.example.com, 127.0.0.1 and ::1.
        other_host: for other.example.com only.
        sip_domain: for the host edge7.example.net, and by SIP URIs (RFC 5922) for pbx.example.com.
        expired: for the names of `server`, until yesterday.
        client: for a client named "sipflow client".
        other_ca: path of an authority that signed none of these but `stranger`.
        stranger: for the names of `server`, by `other_ca`.
    """

    ca: str
    server: Certificate
    other_host: Certificate
    sip_domain: Certificate
    expired: Certificate
    client: Certificate
    other_ca: str
    stranger: Certificate


class _Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"sipflow test {name}")
        now = datetime.datetime.now(datetime.UTC)
        builder = _builder(self._name, self._name, self._key.public_key(), now - 10 * _DAY, now + 10 * _DAY)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        identity = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self.path = _write(
            folder / f"{name}.pem", builder.add_extension(identity, critical=False).sign(self._key, hashes.SHA256())
        )

    def issue(
        self,
        file: str,
        subject: str,
        *,
        names: tuple[str, ...] = (),
        addresses: tuple[str, ...] = (),
        uris: tuple[str, ...] = (),
        until: datetime.timedelta = 5 * _DAY,
        client: bool = False,
    ) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = _builder(_name(subject), self._name, key.public_key(), now - 5 * _DAY, now + until)
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        alternatives += [x509.UniformResourceIdentifier(uri) for uri in uris]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_path = self._folder / f"{file}.key"
        key_path.write_bytes(private)
        signed = builder.sign(self._key, hashes.SHA256())
        return Certificate(_write(self._folder / f"{file}.pem", signed), str(key_path))


def make_certificates(folder: Path) -> Certificates:
    """Write all of them into `folder`."""
    ours, other = _Authority(folder, "ca"), _Authority(folder, "other-ca")
    return Certificates(
        ca=ours.path,
        server=ours.issue("server", "pbx.example.com", names=_NAMES, addresses=_ADDRESSES),
        other_host=ours.issue("other-host", "other.example.com", names=("other.example.com",)),
        sip_domain=ours.issue(
            "sip-domain",
            "edge7.example.net",
            names=("edge7.example.net",),
            uris=("sip:pbx.example.com", "sip:2001@other.example.com", "https://www.example.com"),
        ),
        expired=ours.issue("expired", "pbx.example.com", names=_NAMES, addresses=_ADDRESSES, until=-_DAY),
        client=ours.issue("client", "sipflow client", client=True),
        other_ca=other.path,
        stranger=other.issue("stranger", "pbx.example.com", names=_NAMES, addresses=_ADDRESSES),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    since: datetime.datetime,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _write(path: Path, certificate: x509.Certificate) -> str:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(path)
