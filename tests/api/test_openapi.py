"""The OpenAPI document tells everything, in sentences that are true of what they stand beside."""

from collections.abc import Iterator
from typing import Any, cast

import jsonschema_rs
import pytest

from sipflow.api.app import create_app, document_of
from sipflow.api.auth import Door
from sipflow.api.context import Context
from sipflow.api.meanings import EXAMPLES, MEANINGS
from sipflow.store.database import Database
from sipflow.store.directory import Directory

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return document_of(create_app(Context(directory=Directory(), database=cast(Database, None)), Door(None)))


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, below in document["paths"].items():
        for method, operation in below.items():
            yield f"{method.upper()} {path}", operation


def fields(document: Json) -> Iterator[tuple[str, str, Json]]:
    for name, schema in document["components"]["schemas"].items():
        for field, its in schema.get("properties", {}).items():
            yield name, field, its


def test_every_operation_parameter_body_and_answer_says_what_it_is(document: Json) -> None:
    silent = []
    for where, operation in operations(document):
        silent += [where for key in ("summary", "description") if not operation.get(key)]
        silent += [f"{where} {each['name']}" for each in operation.get("parameters", ()) if not each.get("description")]
        silent += [f"{where} body" for body in [operation.get("requestBody")] if body and not body.get("description")]
        for status, response in operation["responses"].items():
            if response.get("description") in (None, "", "Successful Response"):
                silent.append(f"{where} {status}")

    assert silent == []


def test_every_shape_and_field_says_what_it_means(document: Json) -> None:
    schemas = document["components"]["schemas"]

    assert [name for name, schema in schemas.items() if not schema.get("description")] == []
    assert [f"{name}.{field}" for name, field, its in fields(document) if not its.get("description")] == []


def test_every_example_is_one_that_its_field_takes(document: Json) -> None:
    shown = [
        (f"{name}.{field}", its, value) for name, field, its in fields(document) for value in its.get("examples", ())
    ]
    wrong = [
        where
        for where, its, value in shown
        if not jsonschema_rs.is_valid({**its, "components": document["components"]}, value)
    ]

    assert wrong == []
    assert len(shown) > 40


def test_every_meaning_and_example_is_of_something_that_is_there(document: Json) -> None:
    there = {field for _, field, _ in fields(document)} | {f"{name}.{field}" for name, field, _ in fields(document)}
    for where, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            there |= {parameter["name"], f"{where}.{parameter['name']}"}

    assert sorted((MEANINGS.keys() | EXAMPLES.keys()) - there) == []


def test_an_envelope_and_its_answer_tell_what_is_in_it(document: Json) -> None:
    answer = document["paths"]["/v2/numbers"]["get"]["responses"]["200"]

    assert answer["description"] == "A page of numbers."
    assert document["components"]["schemas"]["Enveloped_NumberList_"]["description"] == (
        "The envelope around NumberList: A page of numbers."
    )


def test_what_needs_no_token_is_not_refused_for_want_of_one(document: Json) -> None:
    told = {where: operation["responses"].keys() & {"401", "403"} for where, operation in operations(document)}

    assert {where for where, statuses in told.items() if statuses != {"401", "403"}} == {
        "GET /v2/health", "GET /healthz", "GET /readyz",
    }  # fmt: skip
