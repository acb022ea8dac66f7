"""The page of the site with everything that a call has for an agent, made from the docstrings in the code."""

import inspect
import re
from collections.abc import Iterable

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall

PAGE = "reference/call.md"
INTRODUCTION = """# The call object

Everything that a call has for an agent, made from the docstrings in the code; [Writing an agent](../agents.md) is the
guide. `InboundCall` is what an agent gets; `OutboundCall` is what `call.dial` returns, and what an agent runs on that
was told to call somebody. Whatever is not marked is in both. Times are seconds unless a name says `_ms`.

Everything that waits raises `CallEnded` once the call is over. Errors are those of `sipflow.errors`.
"""
# Public for other rooms of sipflow: what tells a call of what came, and joins it with others. Not for agents.
OF_THE_EDGE = frozenset(
    {
        "adopt", "aside", "begin_transfer", "behalf", "beside", "confirmed", "digit_heard", "digit_pressed",
        "disown", "early_answered", "end", "end_for", "fetched_music", "give", "give_up", "goes_on", "hand_back",
        "handed_over", "has_ended", "inbox", "info_came", "joint", "judged", "manners", "media_changed", "minded",
        "numbers_behind", "outbox", "outlast_transfer", "owns", "prepare", "progressed", "on_progress", "given_up",
        "provisionals", "refer_asked", "region", "renew", "reoffer_ended", "says", "step_aside", "step_back",
        "tasks", "tell", "text_answered", "text_came", "tries", "unreachable_because", "untell", "was_answered",
        "word",
    }
)  # fmt: skip
ATTRIBUTE = re.compile(r"^    ([a-z_, ]+): +(.*(?:\n {8,}.*)*)", re.MULTILINE)
HEADING = re.compile(r"^(Args|Returns|Raises|Yields):$", re.MULTILINE)
ITEM = re.compile(r"^ {4}([\w, ]+): +(.*)$")
POINTER = re.compile(r"see `Speaking\.(\w+)`|See `Speaking\.(\w+)`")


def attributes() -> dict[str, str]:
    """Return what the docstrings of the classes say of what is set on each call."""
    found: dict[str, str] = {}
    for kind in (Call, OutboundCall):
        text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
        for names, meaning in ATTRIBUTE.findall(text):
            found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return found


def is_public(name: str) -> bool:
    return not name.startswith("_") and (
        hasattr(InboundCall, name) or hasattr(OutboundCall, name) or name in attributes()
    )


def members() -> dict[str, str]:
    """Return what there is to say of each member that is for agents, by its name."""
    names = {*dir(InboundCall), *dir(OutboundCall), *attributes()}
    return {name: told(name) for name in sorted(names - OF_THE_EDGE) if is_public(name)}


def told(name: str) -> str:
    if name in attributes():
        return f"{attributes()[name]}\n"
    kinds = [kind for kind in (InboundCall, OutboundCall) if hasattr(kind, name)]
    member = inspect.getattr_static(kinds[0], name)
    text = documented(name, kinds[0].__mro__)
    only = f"*{kinds[0].__name__} only.* " if len(kinds) == 1 else ""
    return f"{signature(name, member)}{only}{markdown(text)}\n"


def documented(name: str, kinds: Iterable[type]) -> str:
    """Return the docstring of a member; where it only points to that of another class, both."""
    texts = [inspect.getdoc(found) or "" for kind in kinds if (found := kind.__dict__.get(name)) is not None]
    return "\n\n".join(texts) if texts and POINTER.search(texts[0]) else texts[0] if texts else ""


def signature(name: str, member: object) -> str:
    if not inspect.isfunction(member):
        return ""
    parameters = list(inspect.signature(member).parameters.values())[1:]
    shown = inspect.Signature(parameters)
    words = re.sub(r"\bsipflow\.[a-z_.]+\.|\bcollections\.abc\.|\btyping\.", "", str(shown))
    words = re.sub(r"(: |-> )'([^']+)'", r"\1\2", words)
    before = "await " if inspect.iscoroutinefunction(member) else ""
    return f"```python\n{before}call.{name}{words}\n```\n\n"


def markdown(text: str) -> str:
    """Return a docstring as Markdown: its sections as lists, everything else as it stands."""
    lines, listing = [], False
    for line in text.splitlines():
        item = ITEM.match(line)
        if HEADING.match(line):
            lines += [f"*{line.removesuffix(':')}*", ""]
            listing = True
        elif listing and item:
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif listing and line.startswith("    "):
            lines.append(f"  {line.strip()}" if lines and lines[-1].startswith(("- ", "  ")) else line.strip())
        else:
            listing = listing and not line.strip()
            lines.append(line)
    return "\n".join(lines)


def page() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION, *(f"### `call.{name}`\n\n{text}" for name, text in members().items())]
    return "\n".join(parts)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files
