from sipflow import __version__
from tests.api.stage import Stage


async def test_health_needs_no_token(api: Stage) -> None:
    answer = await api.client.get("/v2/health", headers={"Authorization": ""})

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})
