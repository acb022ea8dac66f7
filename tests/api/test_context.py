import pytest
from fastapi import Request

from sipflow.api.context import context_of, need
from sipflow.errors import ApiError
from tests.api.stage import Stage


async def test_a_route_finds_the_context_of_its_application(api: Stage) -> None:
    assert await context_of(Request({"type": "http", "app": api.app})) is api.context


def test_a_part_that_does_not_run_is_said() -> None:
    assert need("a part", "the part") == "a part"
    with pytest.raises(ApiError) as refusal:
        need(None, "the part")

    assert (refusal.value.status, refusal.value.description) == (503, "the part does not run here")
