import base64
import hmac
import json
import os
import re
import shutil
import subprocess
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from sipflow.webhooks.payloads import call_event, call_inbound, post_call
from sipflow.webhooks.signing import compatible_signature, problem, signed_headers, verify, verify_compatible
from tests.webhooks.records import finished, happenings

SECRET, OLD = "a secret of many characters", "the secret of last year"
BODY = '{"event":"post_call","lead":{"name":"Zoë"}}'.encode()
NOW = 1_767_225_600.0


def signed(*secrets: str) -> dict[str, str]:
    return dict(signed_headers(secrets or (SECRET,), body=BODY, call_id="c1", at=NOW + 0.9))


def test_the_signature_is_hmac_sha256_over_the_time_and_the_whole_body() -> None:
    expected = hmac.new(SECRET.encode(), b"1767225600." + BODY, sha256).hexdigest()

    assert signed() == {
        "X-Sipflow-Timestamp": "1767225600",
        "X-Sipflow-Signature": f"v1={expected}",
        "HTTP_SYNTHFLOW_SIGNATURE": base64.b64encode(hmac.new(SECRET.encode(), b"c1", sha256).digest()).decode(),
    }


def test_without_a_secret_nothing_is_signed() -> None:
    assert signed_headers((), body=BODY, call_id="c1", at=NOW) == []


def test_what_was_signed_is_verified_whatever_the_case_of_the_headers() -> None:
    headers = {name.lower(): value for name, value in signed().items()}

    assert verify(SECRET, headers, BODY, now=NOW)
    assert verify_compatible(SECRET, headers, "c1")


def test_with_two_secrets_a_receiver_may_know_either() -> None:
    headers = signed(SECRET, OLD)

    assert [verify(known, headers, BODY, now=NOW) for known in (SECRET, OLD, "another")] == [True, True, False]
    assert headers["HTTP_SYNTHFLOW_SIGNATURE"] == compatible_signature(SECRET, "c1")


@pytest.mark.parametrize(
    ("changed", "body", "at", "why"),
    [
        ({}, BODY + b" ", NOW, "the signature does not fit: another secret, or the body was changed on the way"),
        ({"X-Sipflow-Timestamp": "1767225601"}, BODY, NOW, "the signature does not fit: another secret"),
        ({"X-Sipflow-Signature": "v1="}, BODY, NOW, "the signature does not fit"),
        ({"X-Sipflow-Signature": "v0=00,é"}, BODY, NOW, "the signature does not fit"),
        ({"X-Sipflow-Signature": ""}, BODY, NOW, "the request is not signed: X-Sipflow-Signature"),
        ({"X-Sipflow-Timestamp": ""}, BODY, NOW, "the request is not signed"),
        ({"X-Sipflow-Timestamp": "soon"}, BODY, NOW, "X-Sipflow-Timestamp is not a number of seconds"),
        ({"X-Sipflow-Timestamp": "１"}, BODY, NOW, "X-Sipflow-Timestamp is not a number of seconds"),
        ({}, BODY, NOW + 301, "the request is 301 s old, more than 300 s either way"),
        ({}, BODY, NOW - 301, "the request is -301 s old, more than 300 s either way"),
    ],
)
def test_whatever_is_changed_old_or_missing_is_refused_in_words(
    changed: dict[str, str], body: bytes, at: float, why: str
) -> None:
    headers = {**signed(), **changed}

    assert not verify(SECRET, headers, body, now=at)
    assert problem(SECRET, headers, body, now=at).startswith(why)


def test_the_clock_of_this_machine_is_used_unless_another_is_given() -> None:
    assert problem(SECRET, signed(), BODY).endswith("more than 300 s either way")


def test_the_compatible_signature_says_nothing_about_another_call() -> None:
    assert not verify_compatible(SECRET, signed(), "c2")
    assert not verify_compatible(SECRET, {}, "c1")


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the page about webhooks."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_of_the_page_knows_what_is_genuine(block: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(block, "docs/webhooks.md", "exec"), names)
    headers = dict(signed_headers((SECRET, OLD), body=BODY, call_id="c1", at=time.time()))
    old = dict(signed_headers((SECRET,), body=BODY, call_id="c1", at=time.time() - 900))

    genuine = names["is_genuine"]
    assert [genuine(SECRET, headers, BODY), genuine(OLD, headers, BODY)] == [True, True]
    assert [genuine("another", headers, BODY), genuine(SECRET, headers, BODY + b" "), genuine(SECRET, old, BODY)] == [
        False, False, False,
    ]  # fmt: skip


def test_the_shell_of_the_page_computes_the_signature(tmp_path: Path) -> None:
    (command,) = blocks("bash")
    (tmp_path / "body.json").write_bytes(BODY)
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "TIMESTAMP": signed()["X-Sipflow-Timestamp"], "SECRET": SECRET},
        check=True,
        capture_output=True,
        text=True,
    )

    assert f"v1={done.stdout.strip()}" == signed()["X-Sipflow-Signature"]


def test_the_json_of_the_page_is_what_is_sent() -> None:
    asked, _answer, told, event = (json.loads(block) for block in blocks("json"))
    record, happening = finished(), happenings("answered")[0]
    sent = [
        json.loads(call_inbound(record, variables={})),
        json.loads(post_call(record)),
        json.loads(call_event(record, happening, event_id="e")),
    ]

    assert [shape(each) for each in sent] == [shape(asked), shape(told), shape(event)]


def shape(value: object) -> object:
    """The names of a body, without its values; what is kept by name of others is a value."""
    if not isinstance(value, dict):
        return None
    return {
        name: {} if name in ("details", "custom_variables", "prompt_variables", "metadata") else shape(each)
        for name, each in value.items()
    }
