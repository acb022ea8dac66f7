"""The key of the tokens in our Contacts, by which a call is told to belong to a registration."""

import hashlib
from collections.abc import Iterable

from sipflow.trunks.trunk import Trunk


def secret_of(trunks: Iterable[Trunk]) -> bytes:
    """Key of the tokens in our Contacts: the same after a restart, and only we know it, for it is made of passwords.

    So a binding that a killed process left behind still tells its trunk.
    """
    digest = hashlib.sha256(b"sipflow registration tokens")
    for trunk in sorted(trunks, key=lambda trunk: trunk.name):
        digest.update(repr((trunk.name, trunk.username, trunk.password)).encode())
    return digest.digest()
