"""The one tree of errors."""

import ast
import inspect
import re

import pytest

from sipflow import errors
from sipflow.errors import (
    AgentError,
    CallEnded,
    CallFailed,
    ConfigError,
    LocalProtocolError,
    MediaError,
    PortsExhausted,
    ProtocolError,
    RemoteProtocolError,
    SipflowError,
    TransportError,
)
from tests.house.tree import modules

ALL = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)]
DERIVED = re.compile(
    rf"class\s+\w+\s*\([^)]*\b(?:Exception|BaseException|{'|'.join(found.__name__ for found in ALL)}|\w+Error)\b"
)


def test_every_error_is_in_one_tree() -> None:
    assert {(found.__name__, found.__bases__[0].__name__) for found in ALL} == {
        ("SipflowError", "Exception"),
        ("ProtocolError", "SipflowError"),
        ("RemoteProtocolError", "ProtocolError"),
        ("LocalProtocolError", "ProtocolError"),
        ("ConfigError", "SipflowError"),
        ("TransportError", "SipflowError"),
        ("CallEnded", "SipflowError"),
        ("CallFailed", "SipflowError"),
        ("MediaError", "SipflowError"),
        ("PortsExhausted", "MediaError"),
        ("AgentError", "SipflowError"),
        ("StoreError", "SipflowError"),
        ("NotFound", "SipflowError"),
        ("Conflict", "SipflowError"),
        ("LimitReached", "SipflowError"),
        ("ApiError", "SipflowError"),
        ("ClientError", "SipflowError"),
    }
    assert {SipflowError, ProtocolError, TransportError, AgentError} <= set(ALL)


def test_the_tree_that_the_docstring_draws_is_the_real_one() -> None:
    drawn = errors.__doc__ or ""

    assert [found.__name__ for found in ALL if found.__name__ not in drawn] == []


def test_no_other_module_defines_an_error() -> None:
    names = {found.__name__ for found in ALL} | {"Exception", "BaseException", "ValueError", "RuntimeError", "OSError"}
    found = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules("sipflow")
        if module.path != "sipflow/errors.py" and DERIVED.search(module.text)
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and names & {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    ]

    assert found == []


def test_peers_fault_carries_the_status_to_answer() -> None:
    assert (RemoteProtocolError("no").status, RemoteProtocolError("no", status=488).status) == (400, 488)
    assert not hasattr(LocalProtocolError("no"), "status")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("wrong"), "wrong"),
        (ConfigError("wrong", key="sip.listen"), "sip.listen: wrong"),
        (ConfigError("wrong", file="a.yaml"), "a.yaml: wrong"),
        (ConfigError("wrong", file="a.yaml", line=7, key="sip.listen"), "a.yaml:7: sip.listen: wrong"),
    ],
)
def test_configuration_error_begins_with_its_place(error: ConfigError, text: str) -> None:
    assert str(error) == text


def test_end_of_a_call_tells_who_and_why() -> None:
    ended, told = CallEnded(), CallEnded("the far end hung up", by="local")

    assert (ended.by, ended.reason, str(ended)) == ("remote", "the call is over", "the call is over")
    assert (told.by, told.reason, str(told)) == ("local", "the far end hung up", "the far end hung up")


def test_failed_call_tells_status_and_reason() -> None:
    failed = CallFailed(486, "Busy Here")

    assert (failed.status, failed.reason, str(failed)) == (486, "Busy Here", "486 Busy Here")


def test_one_remedy_fits_ports_and_sound() -> None:
    with pytest.raises(MediaError, match="every port"):
        raise PortsExhausted("every port is lent")
