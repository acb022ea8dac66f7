from collections.abc import Iterator
from typing import Literal

import pytest

from tests.scenario.catalogue import Scenario
from tests.scenario.programs import needs
from tests.scenario.stage import Stage


def _while_it_is_needed(fixture_name: str, config: pytest.Config) -> Literal["module", "session"]:
    """Where several processes share the tests, each file is one process's: the others play what theirs ask for."""
    return "module" if hasattr(config, "workerinput") else "session"


@pytest.fixture(scope=_while_it_is_needed)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Play every scenario that a chosen test asks for: all of them start now, and the tests wait for the ends."""
    needs("sipp")
    chosen: dict[str, Scenario] = {}
    for item in request.session.items:
        wanted = getattr(item, "callspec", None)  # what a parametrised test was given
        found = wanted.params.get("scenario") if wanted is not None else None
        if isinstance(found, Scenario) and (request.scope == "session" or item.path == request.path):
            chosen[found.name] = found
    with Stage(list(chosen.values()), tmp_path_factory.mktemp("scenarios")) as stage:
        yield stage
