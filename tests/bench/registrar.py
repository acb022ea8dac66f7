"""A registrar that takes whoever knows the password: RFC 3261 §10.3 with an MD5 digest, and nothing beyond.

It writes one line when it listens, and one for each account that has registered.
"""

import hashlib
import re
import socket
import sys

REALM, NONCE, PASSWORD = "bench", "a-nonce-of-the-bench", "a password"
_COPIED = re.compile(r"^(?:Via|From|To|Call-ID|CSeq):[^\r\n]*", re.MULTILINE)
_CONTACT = re.compile(r"^Contact:([^\r\n]*)", re.MULTILINE)
_PROOF = re.compile(r'(\w+)="?([^",\r\n]*)')


def answer(request: str) -> tuple[str, str]:
    """Give the response to a REGISTER, and the account that is registered by it, if any."""
    found = re.search(r"^Authorization: Digest ([^\r\n]*)", request, re.MULTILINE)
    if found is None:
        challenge = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", algorithm=MD5, qop="auth"'
        return _response(request, "401 Unauthorized", challenge), ""
    proof = dict(_PROOF.findall(found[1]))
    if proof.get("response") != _expected(proof):
        return _response(request, "403 Forbidden"), ""
    contact = _CONTACT.search(request)
    line = f"Contact:{contact[1]}" if contact is not None else "Expires: 0"
    return _response(request, "200 OK", line), proof.get("username", "")


def _expected(proof: dict[str, str]) -> str:
    """RFC 7616 §3.4.1 with qop=auth."""
    secret = _md5(f"{proof.get('username')}:{REALM}:{PASSWORD}")
    what = _md5(f"REGISTER:{proof.get('uri')}")
    return _md5(f"{secret}:{NONCE}:{proof.get('nc')}:{proof.get('cnonce')}:auth:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _response(request: str, status: str, line: str = "") -> str:
    lines = [f"SIP/2.0 {status}", *_COPIED.findall(request), *([line] if line else []), "Content-Length: 0", "", ""]
    return "\r\n".join(lines)


def main(port: int) -> None:
    """Serve until killed."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("127.0.0.1", port))
    print("listening", flush=True)
    while True:
        data, source = sock.recvfrom(65535)
        if data.startswith(b"REGISTER"):
            response, account = answer(data.decode())
            sock.sendto(response.encode(), source)
            if account:
                print(account, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
