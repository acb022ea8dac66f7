"""The reference of the configuration has every key, and that of the API every operation and every shape."""

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs

from sipflow.config.reference import keys
from tests.house.site_hooks import hook, openapi

API, CONFIGURATION = hook("api_reference"), hook("configuration_reference")
SECTION = re.compile(r"^### ([A-Z]+ /\S*)\n(.*?)(?=^###? |\Z)", re.MULTILINE | re.DOTALL)


@cache
def operations() -> list[tuple[str, str, dict[str, Any]]]:
    found: list[tuple[str, str, dict[str, Any]]] = API.operations(openapi())
    return found


@cache
def sections() -> dict[str, str]:
    return dict(SECTION.findall(API.page(openapi())))


def test_every_key_of_the_configuration_has_a_row_with_meaning_and_example() -> None:
    rows = [line.split(" | ") for line in CONFIGURATION.page().splitlines() if line.startswith("| `")]
    found = {cells[0].strip("| `"): (cells[3], cells[4].strip("| ")) for cells in rows}

    assert list(found) == [key.path for key in keys()]
    assert [path for path, (meaning, _) in found.items() if len(meaning) < 8] == []
    assert [key.path for key in keys() if not key.is_mapping and not found[key.path][1]] == []


def test_every_operation_stands_on_the_page_of_the_api() -> None:
    assert len(sections()) > 50
    assert sorted(sections()) == sorted(f"{method} {path}" for method, path, _ in operations())


def test_every_operation_has_scope_parameters_body_answers_and_errors() -> None:
    missing = {f"{method} {path}": lacking(f"{method} {path}", operation) for method, path, operation in operations()}

    assert {name: lines for name, lines in missing.items() if lines} == {}


def lacking(name: str, operation: dict[str, Any]) -> list[str]:
    """What the section of an operation should say and does not."""
    text = sections()[name]
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
    wanted += [operation["description"].strip()]
    return [each for each in wanted if each not in text]


def test_the_example_of_a_request_has_a_body_that_the_api_takes() -> None:
    bodies = [(path, schema) for _, path, each in operations() if (schema := API.body_of(each)) is not None]
    for path, schema in bodies:
        whole = {**schema, "components": openapi()["components"]}
        jsonschema_rs.validate(whole, API.example(openapi(), schema))
        assert "text" not in json.dumps(API.example(openapi(), schema)).split('"'), path

    assert len(bodies) > 15


def test_every_shape_stands_on_its_page() -> None:
    headings = re.findall(r"^## (\S+)$", API.shapes(openapi()), re.MULTILINE)

    assert sorted(headings) == sorted(openapi()["components"]["schemas"])
    assert len({heading.lower() for heading in headings}) == len(headings)  # a link is the name in small letters
