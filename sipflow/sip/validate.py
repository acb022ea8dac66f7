"""What every user agent must refuse before it looks at the meaning of a message (RFC 3261 §8.2, §8.1.3; RFC 4475)."""

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.cseq import CSeq
from sipflow.sip.headers.typed import (
    read_address,
    read_call_id,
    read_content_type,
    read_cseq,
    read_first_contact,
    read_max_forwards,
)
from sipflow.sip.headers.via import read_via
from sipflow.sip.message import Message, Request, Response
from sipflow.sip.uri import OtherUri, SipUri

KNOWN_METHODS = frozenset(
    {
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    }
)

_IDENTITY = frozenset({"call-id", "from", "to", "via"})
_MANDATORY = _IDENTITY | {"cseq"}


def check_request(request: Request) -> None:
    """Refuse a request that breaks the syntax every UAS relies on. What is parsed here stays cached in the request.

    Unknown extensions, methods, bodies and schemes in From and To pass: they are for the layers above.

    Raises:
        RemoteProtocolError: with the status to answer: 400; 416 for a Request-URI scheme that is not sip, sips or tel;
            501 for an unknown method that CSeq contradicts (RFC 4475 §3.1.2.18).
    """
    headers = request.headers
    by_key = dict(zip(headers._keys, headers._lines, strict=True))
    if len(by_key) != len(headers._keys) or not by_key.keys() >= _MANDATORY or "," in by_key["via"]:
        _check_unusual(request)
        return
    # Nearly always: nothing stands twice, nothing is missing. It costs a third of asking the accessors.
    typed = headers._typed
    cseq = typed["cseq"] = read_cseq(by_key["cseq"])
    if cseq.method != request.method:
        raise _contradiction(request, cseq)
    typed["call-id"] = read_call_id(by_key["call-id"])
    typed["from"] = read_address(by_key["from"])
    typed["to"] = read_address(by_key["to"])
    typed["via"] = read_via(by_key["via"])
    _check_request_uri(request)
    contact = by_key.get("contact")
    if contact is not None:
        found = read_first_contact(contact)
        if found is not None:
            typed["contact"] = found
        if "," in contact:
            _ = request.contacts
    if "record-route" in by_key:
        _ = request.record_routes
    if (forwards := by_key.get("max-forwards")) is not None:
        read_max_forwards(forwards)
    if (content := by_key.get("content-type")) is not None:
        read_content_type(content)


def _check_unusual(request: Request) -> None:
    """Do the same where something is missing or stands several times."""
    cseq = request.cseq
    if cseq.method != request.method:
        raise _contradiction(request, cseq)
    _check_identity(request)
    _check_request_uri(request)
    keys = request.headers._keys
    if "contact" in keys:
        _check_contacts(request)
    if "record-route" in keys:
        _ = request.record_routes
    if keys.count("max-forwards") > 1:
        raise RemoteProtocolError("Max-Forwards stands more than once")
    _ = request.max_forwards
    if "content-type" in keys:
        _ = request.content_type


def _contradiction(request: Request, cseq: CSeq) -> RemoteProtocolError:
    """Say that CSeq names another method (RFC 3261 §8.1.1.5)."""
    status = 400 if request.method in KNOWN_METHODS else 501
    return RemoteProtocolError(f"CSeq names {cseq.method[:40]!r} in a {request.method[:40]} request", status=status)


def check_response(response: Response) -> None:
    """Find out whether a response must be dropped: nobody is answered for it.

    Contact and Record-Route are read by those who go by them: a refusal counts whatever stands there, and a registrar
    lists the Contacts of other devices too.

    Raises:
        RemoteProtocolError: what is wrong, for the log; `status` means nothing here.
    """
    _ = response.cseq
    _check_identity(response)
    keys, lines = response.headers._keys, response.headers._lines
    if keys.count("via") > 1 or ("," in lines[keys.index("via")] and len(response.vias) > 1):
        # RFC 3261 §8.1.3.3: MUST be discarded
        raise RemoteProtocolError("a response with more than one Via went astray")


def _check_identity(message: Message) -> None:
    """Parse what names dialog and transaction: each must be there once (RFC 3261 §8.1.1) and be sound."""
    headers = message.headers
    keys, lines, typed = headers._keys, headers._lines, headers._typed
    by_key = dict(zip(keys, lines, strict=True))
    if len(by_key) == len(keys) and by_key.keys() >= _IDENTITY and "," not in by_key["via"]:
        # Nearly always: nothing stands twice, nothing is missing. Short of the accessors below it costs half.
        typed["call-id"] = read_call_id(by_key["call-id"])
        typed["from"] = read_address(by_key["from"])
        typed["to"] = read_address(by_key["to"])
        typed["via"] = read_via(by_key["via"])
        return
    _ = message.call_id
    _ = message.from_
    _ = message.to
    _ = message.via
    if keys.count("via") > 1 or "," in lines[keys.index("via")]:
        _ = message.vias  # a broken Via below the top one would be echoed upstream


def _check_contacts(message: Message) -> None:
    keys, lines = message.headers._keys, message.headers._lines
    _ = message.contact
    if keys.count("contact") > 1 or "," in lines[keys.index("contact")]:
        _ = message.contacts


def _check_request_uri(request: Request) -> None:
    uri = request.request_uri
    if isinstance(uri, OtherUri):
        raise RemoteProtocolError(f"URI scheme {uri.scheme[:40]!r} is not supported", status=416)  # RFC 3261 §8.2.2.1
    if isinstance(uri, SipUri) and uri.headers:
        raise RemoteProtocolError("headers in a Request-URI")  # RFC 3261 §19.1.1, table 1; RFC 4475 §3.1.2.11
