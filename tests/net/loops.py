"""Run a test on asyncio's own loop and on uvloop: they treat sockets differently enough."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

_FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Decorate an async test; pytest sees one test for each loop."""

    def run(*, loop_name: str, **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=_FACTORIES[loop_name]) as runner:
            runner.run(test(**arguments))

    parameters = [*inspect.signature(test).parameters.values()]
    parameters.append(inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY, annotation=str))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what pytest takes for fixtures
    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    decorated: Callable[..., None] = pytest.mark.parametrize("loop_name", list(_FACTORIES))(run)
    for mark in getattr(test, "pytestmark", []):
        decorated = getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs)(decorated)
    return decorated
