"""Every module of sipflow has the test file that mirrors it, and the reverse."""

import ast
from pathlib import PurePosixPath

import pytest

from tests.house.tree import ROOT, Module, modules

# These folders of tests prove a behaviour of the whole and not a module; or are what tests are made of.
WHOLE = frozenset(
    {"bench", "examples", "faults", "fuzz", "house", "interop", "regressions", "scenario", "security", "support"}
    | {"torture"}
)

# path of a module without a test file of its own -> the reason. Keep it empty.
WITHOUT_A_TEST: dict[str, str] = {}

# path of a test file in a mirrored folder that is about no single module -> the reason.
WITHOUT_A_MODULE = {
    "tests/api/test_postgresql.py": "one walk through each resource of the API, on either database",
    "tests/api/test_schemathesis.py": "the whole API, as its OpenAPI document describes it",
    "tests/media/test_delay.py": "how long sound takes through the room as a whole, which it promises",
    "tests/trunks/profiles/test_pages.py": "the pages about providers and the profiles they describe, which must agree",
    "tests/sip/usage/test_update.py": "UPDATE goes through modification, uac, uas and invite: RFC 3311 as a whole",
    "tests/sip/test_ten_thousand_calls.py": "two whole user agents over a lossy wire: it proves the room as a whole",
}


def only_declares(module: Module) -> bool:
    """Whether a module has nothing to test: a table, plain dataclasses, protocols; no function with a body."""
    return not any(_has_a_body(function) for function in module.functions())


def _has_a_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    rest = [statement for statement in function.body if not isinstance(statement, ast.Expr | ast.Pass)]
    return bool(rest) or any(not isinstance(e.value, ast.Constant) for e in function.body if isinstance(e, ast.Expr))


def test_file_of(path: str) -> str:
    inside = PurePosixPath(path).relative_to("sipflow")
    return str(PurePosixPath("tests") / inside.parent / f"test_{inside.name}")


test_file_of.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def test_every_module_has_its_test_file() -> None:
    found = [
        f"{module.path} has no {test_file_of(module.path)}"
        for module in modules("sipflow")
        if not module.path.endswith("/__init__.py")
        and module.path not in WITHOUT_A_TEST
        and not (ROOT / test_file_of(module.path)).exists()
        and not only_declares(module)
    ]

    assert found == []


def test_every_test_file_has_its_module() -> None:
    expected = {test_file_of(module.path) for module in modules("sipflow")}
    found = [
        f"{module.path} mirrors no module"
        for module in modules("tests")
        if PurePosixPath(module.path).name.startswith("test_")
        and PurePosixPath(module.path).parts[1] not in WHOLE
        and module.path not in expected | WITHOUT_A_MODULE.keys()
        and not _tests_a_package(module.path)
    ]

    assert found == []


def _tests_a_package(path: str) -> bool:
    """Whether tests/audio/test_codecs.py stands for the code in sipflow/audio/codecs/__init__.py."""
    inside = PurePosixPath(path).relative_to("tests")
    package = ROOT / "sipflow" / inside.parent / inside.stem.removeprefix("test_") / "__init__.py"
    return package.exists() and bool(package.read_text(encoding="utf-8").strip())


def test_no_exception_from_the_mirror_is_stale() -> None:
    paths = {module.path for module in modules("sipflow")}

    assert [path for path in WITHOUT_A_TEST if path not in paths or (ROOT / test_file_of(path)).exists()] == []
    assert [path for path in WITHOUT_A_MODULE if not (ROOT / path).exists()] == []
    assert [path for path, why in {**WITHOUT_A_TEST, **WITHOUT_A_MODULE}.items() if len(why) < 20] == []


@pytest.mark.parametrize("folder", ["sipflow", "tests"])
def test_every_folder_of_code_is_a_package(folder: str) -> None:
    folders = {PurePosixPath(module.path).parent for module in modules(folder)}

    assert [str(path) for path in sorted(folders) if not (ROOT / path / "__init__.py").exists()] == []
