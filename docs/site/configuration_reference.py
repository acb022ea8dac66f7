"""The page of the site with every key of the configuration, made from the schema that reads the file."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from sipflow.config.reference import FILE, Key, keys
from sipflow.config.samples import sample

PAGE = "reference/configuration.md"
INTRODUCTION = """# Configuration reference

Every key, made from the schema that reads the file. [Configuration](../configuration.md) is the guide. Paths are those
of error messages; `<name>` and `<number>` are what you choose. Where the default is empty nothing is set, or the
meaning says what happens then. Any value may be `${NAME}` from the environment; a secret may be `file:PATH` as well.
Seconds, milliseconds and bytes stand in the names of the keys.

An editor that knows JSON Schema checks a file while it is written: `sipflow check --schema > sipflow.schema.json`.
"""
NOTES = {
    "numbers.<number>": "Any key of `trunks.<name>` up to `carry` may stand here, too: a trunk of the number's own.",
    "agents.<name>": "All other keys belong to [its handler](../agents.md#the-handlers-that-ship).",
}


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def code(text: str) -> str:
    return f"`{cell(text)}`" if text else ""


def row(key: Key) -> str:
    return f"| {code(key.path)} | {cell(key.kind)} | {code(key.default)} | {cell(key.meaning)} | {code(sample(key))} |"


def page() -> str:
    """Return the page as Markdown: a table for each section of the file."""
    parts, every = [INTRODUCTION], list(keys())
    for section in FILE:
        name = section.partition(".")[0]
        rows = [row(key) for key in every if (key.path.partition(".")[0] if "." in key.path else "") == name]
        note = f"{NOTES[section]}\n\n" if section in NOTES else ""
        head = f"## `{name}`" if name else "## Beside the sections"
        parts.append(f"{head}\n\n{note}| key | type | default | meaning | example |\n| --- | --- | --- | --- | --- |")
        parts[-1] += "\n" + "\n".join(rows) + "\n"
    return "\n".join(parts)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files
