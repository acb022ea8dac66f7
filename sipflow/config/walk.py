"""Finds things in the tree: the value of a path, its line, and what of it may be shown."""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from sipflow.config.tree import Branch, Entry, Items, Leaf, Node

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")  # not 0123 and not +1206...: those are text
_FLOAT = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}")
_SHORTEST_SECRET = 4  # hiding every "1" would hide the sentence and no secret
_LONGEST_SHOWN = 8  # so much of a value is hidden wherever it stands
_COMPARED = 4096
_WORDS: dict[str, object] = {"true": True, "True": True, "false": False, "False": False}


def locate(branch: Branch, keys: tuple[str, ...], line: int) -> tuple[int, int, Node]:
    """Follow `keys` as far as they exist; return how many did, the line of the last, and its value.

    Args:
        line: what to return when not even the first key exists.
    """
    node: Node = branch
    for found, key in enumerate(keys):
        entry = _step(node, key)
        if entry is None:
            return found, line, node
        line, node = entry.line, entry.node
    return len(keys), line, node


def plain(node: Node) -> object:
    """Return the values as text, for a schema that knows what each must be."""
    match node:
        case Leaf():
            return node.text
        case Items():
            return [plain(item) for item in node.nodes]
        case Branch():
            return {key: plain(entry.node) for key, entry in node.entries.items()}


def typed(node: Node) -> object:
    """Return the values as numbers, true, false and text, for code whose schema we do not know.

    `+12065550100`, `0123`, `yes`, whatever is in quotes, a secret and whatever came from a variable stays text.
    """
    match node:
        case Leaf():
            return _typed_leaf(node)
        case Items():
            return [typed(item) for item in node.nodes]
        case Branch():
            return {key: typed(entry.node) for key, entry in node.entries.items()}


def pruned(branch: Branch, paths: Iterable[tuple[str, ...]]) -> Branch:
    """Return `branch` without the values at `paths`; a list goes as a whole when one of its items does."""
    for path in paths:
        branch = _without(branch, path)
    return branch


def _without(branch: Branch, path: tuple[str, ...]) -> Branch:
    entries = dict(branch.entries)
    entry = entries.pop(path[0], None) if path else None
    if entry is not None and len(path) > 1 and isinstance(entry.node, Branch):
        entries[path[0]] = Entry(entry.line, _without(entry.node, path[1:]))
    return Branch(entries, branch.line)


def written(node: Node) -> str:
    """Return what stands in the file if it may be shown: a variable by its name, a secret and a mapping not at all."""
    return node.written if isinstance(node, Leaf) and node.written and not node.secret else ""


def masked(text: str, node: Node) -> str:
    """Return a sentence without the values of secrets and variables below `node`, not even shortened or in capitals."""
    for leaf in _leaves(node):
        for value, name in leaf.variables:
            text = _hidden(text, value, name)
        if leaf.secret and leaf.text:
            text = _hidden(text, leaf.text, "***")
    return text


def _hidden(text: str, value: str, name: str) -> str:
    least = min(len(value), _LONGEST_SHOWN)
    if least < _SHORTEST_SECRET:
        return text
    small = _lower(value[:_COMPARED])
    while True:
        found = SequenceMatcher(None, _lower(text), small, autojunk=False).find_longest_match()
        if found.size < least:
            return text.replace("\0", name)
        text = text[: found.a] + "\0" + text[found.a + found.size :]


def _lower(text: str) -> str:
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _step(node: Node, key: str) -> Entry | None:
    if isinstance(node, Branch):
        return node.entries.get(key)
    if isinstance(node, Items) and key.isdecimal() and int(key) < len(node.nodes):
        item = node.nodes[int(key)]
        return Entry(item.line, item)
    return None


def _typed_leaf(leaf: Leaf) -> object:
    text = leaf.text
    if text is None or not leaf.plain or leaf.secret or leaf.variables:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _leaves(node: Node) -> Iterator[Leaf]:
    rest = [node]
    while rest:
        match rest.pop():
            case Leaf() as leaf:
                yield leaf
            case Items() as items:
                rest.extend(items.nodes)
            case Branch() as branch:
                rest.extend(entry.node for entry in branch.entries.values())
