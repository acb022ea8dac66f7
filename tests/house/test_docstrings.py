import ast
from collections.abc import Iterator

from tests.house.tree import Function, Module, modules

DOCUMENTED = ("sipflow/calls/", "sipflow/agents/")  # what people who write agents read


def public(node: ast.ClassDef | Function) -> bool:
    return not node.name.startswith("_")


def undocumented(module: Module) -> Iterator[str]:
    scopes: list[ast.Module | ast.ClassDef] = [module.tree]
    while scopes:
        for node in scopes.pop().body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not public(node):
                continue
            if ast.get_docstring(node) is None and not _repeats_a_getter(node):
                yield f"{module.path}:{node.lineno} {node.name}"
            if isinstance(node, ast.ClassDef):
                scopes.append(node)


def _repeats_a_getter(node: ast.ClassDef | Function) -> bool:
    """Whether it is a setter, an overload or an override: documented where it is declared first."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"setter", "overload", "override"})


def test_everything_public_in_calls_and_agents_has_a_docstring() -> None:
    found = [
        line for module in modules("sipflow") if module.path.startswith(DOCUMENTED) for line in undocumented(module)
    ]

    assert found == []


def test_every_module_of_calls_and_agents_says_what_it_is_for() -> None:
    found = [
        module.path
        for module in modules("sipflow")
        if module.path.startswith(DOCUMENTED) and module.text.strip() and ast.get_docstring(module.tree) is None
    ]

    assert found == []
