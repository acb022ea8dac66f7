"""SRTP once more, written from the RFCs on top of `cryptography`: what libsrtp makes must be readable here."""

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_HEADER_BYTES = 12
_ENCRYPTION, _AUTHENTICATION, _SALT = 0, 1, 2  # RFC 3711 §4.3.2: labels


def _keystream(key: bytes, iv: int, size: int) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor().update(bytes(size))


def _derived(key: bytes, salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711 §4.3.1 and §4.3.3, with a key derivation rate of zero; RFC 7714 §11 for a short salt."""
    whole = int.from_bytes(salt.ljust(14, b"\0"), "big")
    return _keystream(key, (whole ^ label << 48) << 16, size)


@dataclass
class Sender:
    """Protects the packets of one SSRC, from packet index 0 to 2**48."""

    master: bytes
    key_bytes: int
    tag_bytes: int
    aead: bool = False

    def protect(self, packet: bytes, rollovers: int = 0) -> bytes:
        key, salt = self.master[: self.key_bytes], self.master[self.key_bytes :]
        cipher_key = _derived(key, salt, _ENCRYPTION, self.key_bytes)
        cipher_salt = _derived(key, salt, _SALT, len(salt))
        header, payload = packet[:_HEADER_BYTES], packet[_HEADER_BYTES:]
        sequence, ssrc = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[8:12], "big")
        index = rollovers << 16 | sequence
        if self.aead:  # RFC 7714 §8.1
            nonce = (ssrc << 48 | index) ^ int.from_bytes(cipher_salt, "big")
            return header + AESGCM(cipher_key).encrypt(nonce.to_bytes(12, "big"), payload, header)
        iv = int.from_bytes(cipher_salt, "big") << 16 ^ ssrc << 64 ^ index << 16  # RFC 3711 §4.1.1
        stream = _keystream(cipher_key, iv, len(payload))
        sealed = header + bytes(a ^ b for a, b in zip(payload, stream, strict=True))
        tag_key = _derived(key, salt, _AUTHENTICATION, 20)
        return sealed + hmac.digest(tag_key, sealed + rollovers.to_bytes(4, "big"), "sha1")[: self.tag_bytes]
