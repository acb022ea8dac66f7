"""Digest authentication on both sides (RFC 7616, RFC 8760, RFC 3261 §22; RFC 2617 and RFC 2069 peers too)."""

from sipflow.sip.digest.account import Account
from sipflow.sip.digest.client import DigestClient
from sipflow.sip.digest.server import Accounts, DigestServer, Verdict

__all__ = ["Account", "Accounts", "DigestClient", "DigestServer", "Verdict"]
