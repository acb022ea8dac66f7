from sipflow.api.log_ring import LogRing
from tests.api.stage import Stage


async def test_the_last_lines_are_shown_to_who_may_see_them(api: Stage) -> None:
    api.context.log = ring = LogRing(wall=lambda: 1_800_000_000.0)
    for number in range(3):
        ring(None, "info", {"event": f"line {number}", "level": "info", "trunk": "pbx"})
    found = (await api.get("/v2/log?limit=1"))["response"]
    later = (await api.get("/v2/log?after=3"))["response"]
    other = {"Authorization": f"Bearer {await api.token('calls:write', 'status:read')}"}

    assert found == {
        "last": 3,
        "lines": [
            {
                "number": 3, "at": "2027-01-15T08:00:00Z", "level": "info", "event": "line 2", "call": "",
                "fields": {"trunk": "pbx"},
            }
        ],
    }  # fmt: skip
    assert later == {"last": 3, "lines": []}
    assert "logs:read" in await api.refused("GET", "/v2/log", status=403, headers=other)
    assert "level" in await api.refused("GET", "/v2/log?level=loud", status=400)


async def test_without_a_log_it_says_so(api: Stage) -> None:
    assert await api.refused("GET", "/v2/log", status=503) == "the log does not run here"
