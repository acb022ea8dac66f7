"""The OpenAPI document: FastAPI's own, with what is not true here taken out and every missing description put in."""

from collections.abc import Iterator, Sequence, Set
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from sipflow import __version__
from sipflow.api.meanings import EXAMPLES, MEANINGS

_SAID_OF_ALL = "Successful Response"  # by FastAPI, where a route says nothing of its answer
_ENVELOPE = "Enveloped_"

Json = dict[str, Any]


def openapi_document(routes: Sequence[BaseRoute], *, open_paths: Set[str] = frozenset()) -> Json:
    """Make the document of these routes. It takes a tenth of a second or more.

    Args:
        routes: of the application.
        open_paths: need no token.
    """
    document = get_openapi(
        title="sipflow",
        version=__version__,
        summary="An AI voice agent on any phone number you already own.",
        description="What a description calls *ours* is an addition of sipflow's, which clients of the API that it is "
        "compatible with (*the reference*) do not know. All else has the names and shapes that they expect.",
        routes=routes,
    )
    return _described(_told_true(document, open_paths))


def _told_true(document: Json, open_paths: Set[str]) -> Json:
    """Take out what FastAPI says of every route and what is not so here: wrong fields are answered with 400."""
    for name, path in document["paths"].items():
        for operation in path.values():
            if name in open_paths:
                for status in ("401", "403"):
                    operation["responses"].pop(status, None)
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def _described(document: Json) -> Json:
    """Say of every shape, field, parameter, body and answer what it means."""
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if name.startswith(_ENVELOPE):
            inner = name.removeprefix(_ENVELOPE).rstrip("_")
            schema["description"] = f"The envelope around {inner}: {_first_sentence(schemas[inner])}"
        for field, its in schema.get("properties", {}).items():
            _describe(its, f"{name}.{field}", field)
    for where, operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            _describe_parameter(parameter, f"{where}.{parameter['name']}")
        body = operation.get("requestBody")
        if body is not None and not body.get("description"):
            body["description"] = _of_content(body, schemas) or "What is wanted."
        for response in operation["responses"].values():
            if response.get("description") == _SAID_OF_ALL:
                response["description"] = _of_content(response, schemas) or "It is done."
    return document


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, below in document["paths"].items():
        for method, operation in below.items():
            yield f"{method.upper()} {path}", operation


def _describe(schema: Json, full: str, name: str) -> None:
    if not schema.get("description"):
        meaning = MEANINGS.get(full) or MEANINGS.get(name)
        if meaning:
            schema["description"] = meaning
    if name in EXAMPLES and _is_text(schema) and not schema.keys() & {"examples", "enum", "const"}:
        schema["examples"] = [EXAMPLES[name]]


def _describe_parameter(parameter: Json, full: str) -> None:
    said = parameter.get("description") or parameter["schema"].get("description")
    parameter["description"] = said or MEANINGS.get(full) or MEANINGS.get(parameter["name"], "")


def _is_text(schema: Json) -> bool:
    return any(each.get("type") == "string" and "enum" not in each for each in (schema, *schema.get("anyOf", ())))


def _of_content(holder: Json, schemas: Json) -> str:
    """Return what the shape of a body says of itself, that in an envelope rather than the envelope."""
    for content in holder.get("content", {}).values():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        inner = name.removeprefix(_ENVELOPE).rstrip("_") if name.startswith(_ENVELOPE) else name
        if inner in schemas:
            return _first_sentence(schemas[inner])
    return ""


def _first_sentence(schema: Json) -> str:
    text = " ".join(str(schema.get("description", "")).split())
    return text.partition(". ")[0].removesuffix(".") + "." if text else ""
