"""Our challenges in the algorithms that SIPp does not know, answered by hand."""

import socket
from collections.abc import Iterator

import pytest

from tests.scenario.catalogue import FOLDER
from tests.scenario.digests import answer, parameters
from tests.scenario.processes import Daemon, any_port
from tests.scenario.special import PASSWORD

NUMBERS = {"MD5": "+12065550120", "SHA-256": "+12065550121", "SHA-512-256": "+12065550122"}
ANSWER_S = 20.0
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


class Caller:
    """A caller on a UDP socket who does only what a test says."""

    def __init__(self, port: int, number: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(ANSWER_S)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(("127.0.0.1", port))
        self._here = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.uri = f"sip:{number}@sipflow.example"

    def close(self) -> None:
        self._socket.close()

    def send(self, method: str, cseq: int, *, to_tag: str = "", branch: str = "", authorization: str = "") -> None:
        body = OFFER if method == "INVITE" else ""
        lines = [
            f"{method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._here};branch=z9hG4bK-{branch or method}-{cseq};rport",
            "Max-Forwards: 70",
            f"From: <sip:caller@{self._here}>;tag=me",
            f"To: <{self.uri}>{to_tag}",
            f"Call-ID: by-hand@{self._here}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:caller@{self._here}>",
            *([f"Authorization: {authorization}"] if authorization else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._socket.send("\r\n".join([*lines, "", body]).encode())

    def final(self) -> str:
        """The next final response."""
        while True:
            response = self._socket.recv(65535).decode()
            if not response.startswith("SIP/2.0 1"):
                return response

    def challenged(self) -> dict[str, str]:
        """Call, and return what the challenge asks for."""
        self.send("INVITE", 1)
        response = self.final()
        assert response.startswith("SIP/2.0 401 "), response
        self.send("ACK", 1, to_tag=tag_of(response), branch="INVITE")
        return parameters(header(response, "WWW-Authenticate"))

    def credentials(self, challenge: dict[str, str]) -> str:
        """Answer a challenge."""
        given = {name: challenge[name] for name in ("realm", "nonce", "algorithm", "qop")}
        given |= {"username": "2001", "uri": self.uri, "nc": "00000001", "cnonce": "0a4f113b"}
        given["response"] = answer("INVITE", given, PASSWORD)
        return (
            "Digest "
            + ", ".join(f'{name}="{value}"' for name, value in given.items() if name not in BARE)
            + "".join(f", {name}={given[name]}" for name in BARE)
        )


BARE = ("algorithm", "qop", "nc")  # these have no quotes (RFC 7616 §3.4)


def header(message: str, name: str) -> str:
    lines = [line for line in message.split("\r\n") if line.startswith(f"{name}: ")]
    assert len(lines) == 1, message
    return lines[0].partition(": ")[2]


def tag_of(response: str) -> str:
    return ";tag=" + header(response, "To").partition(";tag=")[2]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The UDP port of a daemon whose trunks challenge every caller."""
    daemon = Daemon(FOLDER / "inbound.yaml", tmp_path_factory.mktemp("identity"), "daemon", any_port())
    try:
        yield daemon.wait_ready().udp
    finally:
        daemon.stop()
    assert daemon.faults() == []


@pytest.fixture
def caller(locked: int, algorithm: str) -> Iterator[Caller]:
    caller = Caller(locked, NUMBERS[algorithm])
    yield caller
    caller.close()


@pytest.mark.parametrize("algorithm", NUMBERS)
def test_whoever_answers_our_challenge_rightly_is_let_in(caller: Caller, algorithm: str) -> None:
    challenge = caller.challenged()

    caller.send("INVITE", 2, authorization=caller.credentials(challenge))
    answered = caller.final()
    caller.send("ACK", 2, to_tag=tag_of(answered))
    caller.send("BYE", 3, to_tag=tag_of(answered))

    assert (challenge["algorithm"], challenge["qop"]) == (algorithm, "auth")
    assert answered.startswith("SIP/2.0 200 "), answered
    assert "3 BYE" in caller.final()


@pytest.mark.parametrize("algorithm", NUMBERS)
def test_an_answer_that_is_one_digit_off_is_challenged_again(caller: Caller, algorithm: str) -> None:
    right = caller.credentials(caller.challenged())
    place = right.index('response="') + len('response="')
    wrong = right[:place] + ("0" if right[place] != "0" else "1") + right[place + 1 :]

    caller.send("INVITE", 2, authorization=wrong)
    refused = caller.final()
    caller.send("ACK", 2, to_tag=tag_of(refused), branch="INVITE")

    assert refused.startswith("SIP/2.0 401 "), refused
    assert "stale" not in header(refused, "WWW-Authenticate")


@pytest.mark.parametrize("algorithm", NUMBERS)
def test_an_answer_that_somebody_overheard_opens_nothing(caller: Caller, algorithm: str) -> None:
    credentials = caller.credentials(caller.challenged())
    caller.send("INVITE", 2, authorization=credentials)
    answered = caller.final()
    caller.send("ACK", 2, to_tag=tag_of(answered))
    caller.send("BYE", 3, to_tag=tag_of(answered))
    caller.final()

    caller.send("INVITE", 4, authorization=credentials)
    refused = caller.final()
    caller.send("ACK", 4, to_tag=tag_of(refused), branch="INVITE")

    assert refused.startswith("SIP/2.0 401 "), refused
