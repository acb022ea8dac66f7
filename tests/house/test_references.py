"""The reference of the configuration has every key, and that of the API every operation and every shape."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest

from sipflow.config.reference import keys
from tests.house.site_hooks import hook

API, CONFIGURATION = hook("api_reference"), hook("configuration_reference")
DOCUMENT: dict[str, Any] = API.document()
OPERATIONS: list[tuple[str, str, dict[str, Any]]] = API.operations(DOCUMENT)
SECTION = re.compile(r"^### ([A-Z]+ /\S*)\n(.*?)(?=^###? |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(API.page(DOCUMENT)))


def test_every_key_of_the_configuration_has_a_row_with_meaning_and_example() -> None:
    rows = [line.split(" | ") for line in CONFIGURATION.page().splitlines() if line.startswith("| `")]
    found = {cells[0].strip("| `"): (cells[3], cells[4].strip("| ")) for cells in rows}

    assert list(found) == [key.path for key in keys()]
    assert [path for path, (meaning, _) in found.items() if len(meaning) < 8] == []
    assert [key.path for key in keys() if not key.is_mapping and not found[key.path][1]] == []


def test_every_operation_stands_on_the_page_of_the_api() -> None:
    assert len(SECTIONS) > 50
    assert sorted(SECTIONS) == sorted(f"{method} {path}" for method, path, _ in OPERATIONS)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS])
def test_an_operation_has_scope_parameters_body_answers_and_errors(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    text = SECTIONS[f"{method} {path}"]
    scopes = [scope for each in operation.get("security", []) for scope in each["token"]]
    wanted = [
        f"Scope: {', '.join(f'`{scope}`' for scope in scopes) or 'none'}",
        "Answer: **",
        "Errors: ",
        "```sh\ncurl",
    ]
    wanted += [f"`{each['name']} ({each['in']})`" for each in operation.get("parameters", [])]
    wanted += [f" {status}" for status in operation["responses"] if status >= "400"]
    wanted += ["Body: "] if "requestBody" in operation else []

    assert [each for each in wanted if each not in text] == []
    assert operation["description"].strip() in text


def test_the_example_of_a_request_has_a_body_that_the_api_takes() -> None:
    bodies = [(path, schema) for _, path, each in OPERATIONS if (schema := API.body_of(each)) is not None]
    for path, schema in bodies:
        whole = {**schema, "components": DOCUMENT["components"]}
        jsonschema_rs.validate(whole, API.example(DOCUMENT, schema))
        assert "text" not in json.dumps(API.example(DOCUMENT, schema)).split('"'), path

    assert len(bodies) > 15


def test_every_shape_stands_on_its_page() -> None:
    headings = re.findall(r"^## (\S+)$", API.shapes(DOCUMENT), re.MULTILINE)

    assert sorted(headings) == sorted(DOCUMENT["components"]["schemas"])
    assert len({heading.lower() for heading in headings}) == len(headings)  # a link is the name in small letters
