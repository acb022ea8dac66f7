"""What test_schemathesis.py runs: what the OpenAPI document allows, and much that it does not, asked of a daemon."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks as openapi

from sipflow.api.app import OPENAPI_PATH, create_app, document_of
from sipflow.api.auth import Door
from sipflow.api.context import Context
from sipflow.store.database import Database
from sipflow.store.directory import Directory
from tests.interop.daemon import Daemon
from tests.interop.free_ports import free_sip_port

TOKEN = "a token that opens everything"
NUMBER, AGENT, TRUNK = "+12065550100", "front-desk", "pbx"
# Paths that lead somewhere, for every other example: made up ones are never there.
THERE = {"phone_number_slug": NUMBER[1:], "model_id": AGENT, "name": TRUNK, "agent": AGENT, "number": NUMBER}
# Those that ask for what we promise. Not asked: whether every wrong type is refused (`"5"` is taken for 5, as other
# servers do), nor whether everything that looks right is accepted (not each text is a telephone number).
CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
]
ONCE = [openapi.unsupported_method, openapi.allow_header_conformance, openapi.ignored_auth]

# An operation with fifty fields has hundreds of examples: after so many, one of so many, to be done within seconds.
MOST, ONE_OF = 15, 20


def document() -> dict[str, Any]:
    """The OpenAPI document of the whole API."""
    nothing = Context(directory=Directory(), database=cast(Database, None))
    return document_of(create_app(nothing, Door(None)))


DOCUMENT = document()
SAY_503 = ["ready"]  # where 503 is an answer and not a failure
NEAR = ["metrics"]  # which this machine itself may ask without a token
# Operations whose answer has no end.
STREAMS = [
    operation["operationId"]
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
    if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
]


def examples_of(**coverage: object) -> Any:
    config = SchemathesisConfig.from_dict({"phases": {"coverage": coverage}})
    return schemathesis.openapi.from_dict(DOCUMENT, config=config)


# The ends of every range, every kind of wrong value, and a few made at random.
VALUES = examples_of(**{"unexpected-methods": []}).exclude(operation_id=[*STREAMS, *SAY_503])
ENDLESS = examples_of(enabled=False).include(operation_id=STREAMS)
METHODS = examples_of(enabled=False).exclude(operation_id=[*STREAMS, *NEAR])


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> Any:
    """Let every other example be about something that is there."""
    if path_parameters is None or len(str(path_parameters)) % 2:
        return path_parameters
    return {name: THERE.get(name, value) for name, value in path_parameters.items()}


class Edge:
    """A whole daemon, and how to talk to it."""

    def __init__(self, daemon: Daemon, url: str) -> None:
        self.daemon = daemon
        self.url = url
        self.count: Counter[str] = Counter()
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """A daemon whose trunk leads nowhere, so that no example calls anybody."""
    listen = f"127.0.0.1:{free_sip_port()}"
    daemon = Daemon(
        tmp_path_factory.mktemp("edge"),
        trunks={TRUNK: {"sip_domain": "127.0.0.1:9", "username": "2001", "password": "secret"}},
        numbers={NUMBER: {"trunk": TRUNK, "inbound_agent": AGENT, "outbound_agents": [AGENT]}},
        agents={AGENT: {"handler": "echo"}},
        api={"listen": listen, "tokens": [TOKEN]},
    )
    daemon.configuration["sip"]["dns"] = {"servers": ["127.0.0.1"]}
    with daemon:
        daemon.wait_said("the API is open")
        running = Edge(daemon, f"http://{listen}")
        yield running
        running.session.close()
        assert daemon.said("bug of ours|Traceback|failed") == []


def examples(most: int) -> settings:
    return settings(
        max_examples=most,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@VALUES.parametrize()  # type: ignore[untyped-decorator]
@examples(2)
def test_whatever_is_sent_is_answered_as_the_document_says(case: schemathesis.Case[Any], edge: Edge) -> None:
    edge.count[case.operation.label] += 1
    turn = edge.count[case.operation.label]
    if turn > MOST and turn % ONE_OF:
        return
    case.call_and_validate(session=edge.session, base_url=edge.url, checks=CHECKS, allow_redirects=False, timeout=20)


@ENDLESS.parametrize()  # type: ignore[untyped-decorator]
@examples(2)
def test_a_stream_begins_as_the_document_says(case: schemathesis.Case[Any], edge: Edge) -> None:
    request = case.as_transport_kwargs(base_url=edge.url, headers=dict(edge.session.headers))
    with edge.session.request(**request, stream=True, timeout=20) as answer:
        said = (answer.status_code, answer.headers["Content-Type"].partition(";")[0])

    assert said in [(200, "text/event-stream"), (400, "application/json"), (404, "application/json")]


@METHODS.parametrize()  # type: ignore[untyped-decorator]
@examples(1)
def test_no_other_method_and_nobody_without_a_token_is_let_in(case: schemathesis.Case[Any], edge: Edge) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    case.call_and_validate(headers=headers, base_url=edge.url, checks=ONCE, allow_redirects=False, timeout=20)


def test_the_document_is_published(edge: Edge) -> None:
    published = schemathesis.openapi.from_url(f"{edge.url}{OPENAPI_PATH}")

    assert published.raw_schema == DOCUMENT
