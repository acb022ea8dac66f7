from collections.abc import Iterator

import pytest

from tests.scenario.catalogue import Scenario
from tests.scenario.programs import needs
from tests.scenario.stage import Stage


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Play every scenario that a chosen test asks for: all of them start now, and the tests wait for the ends."""
    needs("sipp")
    chosen: dict[str, Scenario] = {}
    for item in request.session.items:
        wanted = getattr(item, "callspec", None)  # what a parametrised test was given
        found = wanted.params.get("scenario") if wanted is not None else None
        if isinstance(found, Scenario):
            chosen[found.name] = found
    with Stage(list(chosen.values()), tmp_path_factory.mktemp("scenarios")) as stage:
        yield stage
