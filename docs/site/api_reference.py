"""The pages of the site with every operation of the HTTP API and every shape, made from its OpenAPI document."""

import json
import re
from collections import Counter
from typing import Any, cast

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from sipflow.api.app import create_app, document_of
from sipflow.api.auth import Door
from sipflow.api.context import Context
from sipflow.store.database import Database
from sipflow.store.directory import Directory

PAGE, SHAPES = "reference/api.md", "reference/shapes.md"
INTRODUCTION = """# API reference

Every operation, made from the OpenAPI document that a running sipflow publishes at `GET /v2/openapi.json`.
[The HTTP API](../api.md) is the guide, [the shapes](shapes.md) of bodies and answers have a page of their own. A token
is sent as `Authorization: Bearer ...`; the scope it needs stands with each operation.

Every error has the body of [ErrorAnswer](shapes.md#erroranswer). Unless an operation says otherwise a status means:
"""
# What an example says where the document has none, by the name of the field.
EXAMPLES = {
    "phone_number": "+12065550100", "number": "+12065550100", "numbers": "+12065550100", "to": "+12065550123",
    "phone_number_slug": "12065550100", "slug": "12065550100", "name": "pbx", "model_id": "front-desk",
    "call_id": "5f3c9a1be0d24c77", "digits": "12#", "scopes": "calls:read",
}  # fmt: skip

Json = dict[str, Any]


def document() -> Json:
    nothing = Context(directory=Directory(), database=cast(Database, None))
    return document_of(create_app(nothing, Door(None)))


def operations(doc: Json) -> list[tuple[str, str, Json]]:
    """Return (method, path, operation) of all, in their order."""
    return [(method.upper(), path, each) for path, below in doc["paths"].items() for method, each in below.items()]


def shape(schema: Json, up: str = "") -> str:
    """Return the type of a schema in words; a shape of ours as a link to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}]({up}#{name.lower()})"
    kinds = [each for each in schema.get("anyOf", []) or schema.get("oneOf", []) if each.get("type") != "null"]
    if kinds:
        return " or ".join(dict.fromkeys(shape(each, up) for each in kinds))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {shape(schema.get('items', {}), up)}"
    found = schema.get("type", "anything")
    least, most = schema.get("minimum"), schema.get("maximum")
    length = schema.get("maxLength")
    return (
        found
        + (f", {least:.10g} to {most:.10g}" if least is not None and most is not None else "")
        + (f", at most {length} characters" if length else "")
    )


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def table(rows: list[tuple[str, Json, bool, str]], up: str) -> str:
    """Return a table of (name, schema, whether it must be there, meaning)."""
    lines = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, schema, required, meaning in rows:
        default = "must be there" if required else json.dumps(schema["default"]) if schema.get("default") else ""
        told = f"`{cell(default)}`" if default and not required else default
        lines.append(f"| `{name}` | {cell(shape(schema, up))} | {told} | {cell(meaning)} |")
    return "\n".join(lines) + "\n"


def properties(schema: Json, up: str = "") -> str:
    required = schema.get("required", [])
    rows = [
        (name, below, name in required, below.get("description", ""))
        for name, below in schema.get("properties", {}).items()
    ]
    return table(rows, up) if rows else ""


def resolved(doc: Json, schema: Json) -> Json:
    return doc["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def example(doc: Json, schema: Json, name: str = "") -> Any:
    """Return a value that a schema takes: what it shows itself, else only what must be there."""
    schema = resolved(doc, schema)
    for known in (*schema.get("examples", [])[:1], *([schema["example"]] if "example" in schema else [])):
        return known
    for each in schema.get("anyOf", schema.get("oneOf", [])):
        if each.get("type") != "null":
            return example(doc, each, name)
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    kind = schema.get("type")
    if kind == "object":
        below = schema.get("properties", {})
        return {key: example(doc, below[key], key) for key in schema.get("required", [])}
    if kind == "array":
        return [example(doc, schema.get("items", {}), name)]
    if kind in ("integer", "number"):
        return schema.get("default") or schema.get("minimum", 1)
    return kind == "boolean" or EXAMPLES.get(name, "text")


def body_of(operation: Json) -> Json | None:
    content = operation.get("requestBody", {}).get("content", {})
    return content["application/json"]["schema"] if "application/json" in content else None


def request(doc: Json, method: str, path: str, operation: Json) -> str:
    """Return a request as it is typed into a shell."""
    given = {each["name"]: example(doc, each["schema"], each["name"]) for each in operation.get("parameters", [])}
    there = re.sub(r"\{([a-z_]+)\}", lambda found: str(given[found[1]]), path)
    words = [f"curl -s{f' -X {method}' if method != 'GET' else ''} http://127.0.0.1:8080{there}"]
    if "security" in operation:
        words.append('-H "Authorization: Bearer $SIPFLOW_TOKEN"')
    schema = body_of(operation)
    if schema is not None:
        words += ['-H "Content-Type: application/json"', f"-d '{json.dumps(example(doc, schema))}'"]
    return " \\\n  ".join(words)


def answers(operation: Json, usual: dict[str, str]) -> str:
    """Return what comes back: the answer, and the errors with what is not usual about them."""
    good, bad = [], []
    for status, response in sorted(operation["responses"].items()):
        told = cell(response["description"])
        if status < "400":
            kinds = [(kind, each.get("schema", {})) for kind, each in response.get("content", {}).items()]
            what = ", ".join(
                shape(each, "shapes.md") if each.get("$ref") or each.get("anyOf") else f"`{kind}`"
                for kind, each in kinds
            )
            plain = "" if told == "Successful Response" else f" {told}"
            good.append(f"**{status}**{': ' + what if what else ''}{'.' if what and plain else ''}{plain}")
        else:
            bad.append(f"{status}" if told == usual.get(status) else f"{status} ({told.rstrip('.')})")
    return f"Answer: {'; '.join(good)}\n\nErrors: {', '.join(bad)}\n"


def page(doc: Json) -> str:
    """Return the page of operations as Markdown."""
    told = Counter(
        (status, cell(response["description"]))
        for _, _, operation in operations(doc)
        for status, response in operation["responses"].items()
        if status >= "400"
    )
    usual: dict[str, str] = {}
    for (status, text), _ in told.most_common():
        usual.setdefault(status, text)
    parts = [INTRODUCTION, "| status | means |\n| --- | --- |"]
    parts[-1] += "".join(f"\n| {status} | {text} |" for status, text in sorted(usual.items())) + "\n"
    tag = ""
    for method, path, operation in sorted(operations(doc), key=lambda each: each[2]["tags"][0]):
        if operation["tags"][0] != tag:
            tag = operation["tags"][0]
            parts.append(f"## {tag}\n")
        parts.append(section(doc, method, path, operation, usual))
    return "\n".join(parts)


def section(doc: Json, method: str, path: str, operation: Json, usual: dict[str, str]) -> str:
    scopes = [scope for each in operation.get("security", []) for scope in each.get("token", [])]
    rows = [
        (f"{each['name']} ({each['in']})", each["schema"], each.get("required", False), each.get("description", ""))
        for each in operation.get("parameters", [])
    ]
    text = f"### {method} {path}\n\n{operation.get('description', '').strip()}\n\n"
    text += f"Scope: {', '.join(f'`{scope}`' for scope in scopes) or 'none, no token is needed'}\n\n"
    text += table(rows, "shapes.md") + "\n" if rows else ""
    schema = body_of(operation)
    if schema is not None:
        text += f"Body: {shape(schema, 'shapes.md')}\n\n{properties(resolved(doc, schema), 'shapes.md')}\n"
    return f"{text}{answers(operation, usual)}\n```sh\n{request(doc, method, path, operation)}\n```\n"


def shapes(doc: Json) -> str:
    """Return the page of shapes as Markdown."""
    parts = ["# Shapes of the API\n\nBodies and answers of [the operations](api.md), by name.\n"]
    for name, schema in sorted(doc["components"]["schemas"].items(), key=lambda each: each[0].lower()):
        told = (schema.get("description") or "").strip().partition("\n\nAttributes:")[0]
        parts.append(f"## {name}\n\n{told}\n\n{properties(schema) or shape(schema)}\n")
    return "\n".join(parts)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    doc = document()
    files.append(File.generated(config, PAGE, content=page(doc)))
    files.append(File.generated(config, SHAPES, content=shapes(doc)))
    return files
