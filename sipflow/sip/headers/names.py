"""Header names: matched case-blind, compact forms known (RFC 3261 §7.3.1, §7.3.3, §20)."""

import sys

from sipflow.sip.grammar import TOKEN

# RFC 3261 §20, then the IANA registry: RFC 6665, 3515, 3892, 4028, 3841, 4474.
COMPACT_FORMS = {
    "i": "call-id",
    "m": "contact",
    "e": "content-encoding",
    "l": "content-length",
    "c": "content-type",
    "f": "from",
    "s": "subject",
    "k": "supported",
    "t": "to",
    "v": "via",
    "o": "event",
    "u": "allow-events",
    "r": "refer-to",
    "b": "referred-by",
    "x": "session-expires",
    "j": "reject-contact",
    "d": "request-disposition",
    "a": "accept-contact",
    "y": "identity",
    "n": "identity-info",
}
_COMMON = """
    Accept Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authorization Call-ID Call-Info Contact
    Content-Disposition Content-Encoding Content-Length Content-Type CSeq Date Diversion Event Expires From
    History-Info Max-Forwards Min-Expires Min-SE P-Asserted-Identity P-Charging-Vector P-Preferred-Identity Path
    Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By
    Remote-Party-ID Replaces Require Retry-After Route RSeq Server Service-Route Session-Expires Session-ID Subject
    Subscription-State Supported Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate
"""
_CACHE_SIZE = 2048  # spellings of names; a peer that invents names fills it once and gains nothing
_CACHED_LENGTH = 48  # longer spellings are not worth the memory

KEYS: dict[str, str] = {}  # spelling, perhaps with spaces behind it -> canonical key; read it, `header_key` writes it
LINE_STARTS: dict[str, str] = {}  # the same with the colon, as lines begin: one look-up says that there is a colon, too


def header_key(name: str) -> str | None:
    """Return the canonical name (long form, lower case) of a header as it was spelled, None if it is no token.

    Spaces and tabs before the colon do not make another header (RFC 3261 §7.3.1); any other character that is not a
    token's makes the line malformed.
    """
    key = KEYS.get(name)
    if key is not None:
        return key
    plain = name.rstrip(" \t")
    if TOKEN.fullmatch(plain) is None:
        return None
    key = plain.lower()
    key = COMPACT_FORMS.get(key, key)
    if len(KEYS) < _CACHE_SIZE and len(name) <= _CACHED_LENGTH:
        key = KEYS[name] = LINE_STARTS[f"{name}:"] = sys.intern(key)
    return key


for _name in _COMMON.split():
    header_key(_name)
    header_key(_name.lower())
for _name in COMPACT_FORMS:
    header_key(_name)
    header_key(_name.upper())
