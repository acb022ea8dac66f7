import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.house.tree import Module, modules

NOQA = re.compile(r"noqa(?::[ A-Z0-9,]+)?")
TASK_MAKERS = frozenset({"create_task", "ensure_future"})
BROAD = frozenset({"Exception", "BaseException"})
SOCKET_TESTS = frozenset({"bench", "cli", "daemon", "interop", "media", "net", "scenario", "security", "support"})


def places(module: Module, nodes: Iterator[ast.stmt | ast.expr | ast.excepthandler]) -> list[str]:
    return [f"{module.path}:{node.lineno} {module.lines[node.lineno - 1].strip()}" for node in nodes]


def test_annotations_are_never_postponed() -> None:
    found = [
        f"{module.path}:{node.lineno}"
        for module in modules("sipflow", "tests")
        for node in module.tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]

    assert found == []


def test_tasks_are_made_in_one_place_that_keeps_them_alive() -> None:
    """A task that nobody refers to can vanish, and its error with it."""
    found = [
        place
        for module in modules("sipflow")
        if module.path != "sipflow/tasks.py"
        for place in places(module, _raw_tasks(module))
    ]

    assert found == []


def _raw_tasks(module: Module) -> Iterator[ast.stmt | ast.expr]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TASK_MAKERS:
            owner = ast.unparse(node.func.value).lower()
            if node.func.attr == "ensure_future" or owner == "asyncio" or "loop" in owner:  # a TaskGroup keeps its own
                yield node
        if isinstance(node, ast.ImportFrom) and any(name.name in TASK_MAKERS for name in node.names):
            yield node


def test_no_except_catches_everything_without_a_reason_beside_it() -> None:
    found = [place for module in modules("sipflow", "tests") for place in places(module, _broad_handlers(module))]

    assert found == []


def _broad_handlers(module: Module) -> Iterator[ast.excepthandler]:
    for node in ast.walk(module.tree):
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
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    mocked = [module.path for module in modules("tests") if "unittest.mock" in _imports(module)]

    assert (found, mocked) == ([], [])


def test_only_tests_of_sockets_open_sockets() -> None:
    found = [
        module.path
        for module in modules("tests")
        if "socket" in _imports(module) and PurePosixPath(module.path).parts[1] not in SOCKET_TESTS
    ]

    assert found == []


def _imports(module: Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
    return names
