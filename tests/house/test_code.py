import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.house.tree import Module, modules

FUTURE = "__future__"
CATCHING = re.compile(r"except\s*(?:\*\s*)?:|except[^:]*\b(?:BaseException|Exception)\b")
TEST_CLASS = re.compile(r"^class\s+Test", re.MULTILINE)
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[0-9]*,?[0-9]*\})\+")
NOQA = re.compile(r"noqa(?::[ A-Z0-9,]+)?")
TASK_MAKERS = frozenset({"create_task", "ensure_future"})
BROAD = frozenset({"Exception", "BaseException"})
SOCKET_TESTS = frozenset(
    {"bench", "cli", "daemon", "faults", "interop", "media", "net", "scenario", "security", "support"}
)


def places(module: Module, nodes: Iterator[ast.stmt | ast.expr | ast.excepthandler]) -> list[str]:
    return [f"{module.path}:{node.lineno} {module.lines[node.lineno - 1].strip()}" for node in nodes]


def test_annotations_are_never_postponed() -> None:
    found = [
        f"{module.path}:{node.lineno}"
        for module in modules("sipflow", "tests")
        if FUTURE in module.text
        for node in module.tree.body
        if isinstance(node, ast.ImportFrom) and node.module == FUTURE
    ]

    assert found == []


def test_tasks_are_made_in_one_place_that_keeps_them_alive() -> None:
    """A task that nobody refers to can vanish, and its error with it."""
    found = [
        place
        for module in modules("sipflow")
        if module.path != "sipflow/tasks.py" and any(maker in module.text for maker in TASK_MAKERS)
        for place in places(module, _raw_tasks(module))
    ]

    assert found == []


def _raw_tasks(module: Module) -> Iterator[ast.stmt | ast.expr]:
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TASK_MAKERS:
            owner = ast.unparse(node.func.value).lower()
            if node.func.attr == "ensure_future" or owner == "asyncio" or "loop" in owner:  # a TaskGroup keeps its own
                yield node
        if isinstance(node, ast.ImportFrom) and any(name.name in TASK_MAKERS for name in node.names):
            yield node


def test_no_except_catches_everything_without_a_reason_beside_it() -> None:
    found = [
        place
        for module in modules("sipflow", "tests")
        if CATCHING.search(module.text)
        for place in places(module, _broad_handlers(module))
    ]

    assert found == []


def _broad_handlers(module: Module) -> Iterator[ast.excepthandler]:
    for node in module.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield node
        elif BROAD & {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}:
            comments = [line.partition("#")[2] for line in module.lines[node.lineno - 1 : node.lineno + 1]]
            if not any(len(NOQA.sub("", comment).strip(" #()")) >= 10 for comment in comments):
                yield node


def test_tests_are_functions_without_mocks() -> None:
    found = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules("tests")
        if TEST_CLASS.search(module.text)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    mocked = [module.path for module in modules("tests") if _imports("unittest.mock", module)]

    assert (found, mocked) == ([], [])


def test_only_tests_of_sockets_open_sockets() -> None:
    found = [
        module.path
        for module in modules("tests")
        if _imports("socket", module) and PurePosixPath(module.path).parts[1] not in SOCKET_TESTS
    ]

    assert found == []


def _imports(name: str, module: Module) -> bool:
    """Whether a module imports another, or something of it."""
    package, _, last = name.rpartition(".")
    if last not in module.text:
        return False
    for node in module.nodes:
        if isinstance(node, ast.Import) and name in {each.name for each in node.names}:
            return True
        if isinstance(node, ast.ImportFrom) and (
            node.module == name or (node.module == package and last in {each.name for each in node.names})
        ):
            return True
    return False


def test_no_group_of_a_pattern_has_a_possessive_quantifier() -> None:
    """Python before 3.11.5 (Debian 12 has 3.11.2) matches those wrongly; atomic groups, `(?>...)`, it matches well."""
    found = [
        f"{module.path}:{number} {line.strip()}"
        for module in modules("sipflow")
        for number, line in enumerate(module.lines, 1)
        if POSSESSIVE_GROUP.search(line)
    ]

    assert found == []
