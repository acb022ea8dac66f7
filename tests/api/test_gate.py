import pytest

from tests.api.stage import Stage


async def test_an_answer_has_the_id_of_its_request(api: Stage) -> None:
    given = await api.client.get("/v2/health", headers={"X-Request-Id": "mine-1"})
    made = [(await api.client.get("/v2/health")).headers["X-Request-Id"] for _ in range(2)]
    strange = await api.client.get("/v2/health", headers={"X-Request-Id": "two words; and more"})

    assert given.headers["X-Request-Id"] == "mine-1"
    assert {len(each) for each in made} == {16}
    assert made[0] != made[1]
    assert strange.headers["X-Request-Id"] != "two words; and more"


async def test_an_error_tells_the_same_id(api: Stage) -> None:
    answer = await api.client.get("/v2/numbers/1", headers={"X-Request-Id": "mine-1"})

    assert answer.json()["detail"]["request_id"] == "mine-1"


@pytest.mark.parametrize("path", ["/v2/numbers", "/v2/nothing", "/", "/docs", "/v2/health/x", "/openapi.json"])
async def test_without_a_token_nothing_is_told_not_even_what_there_is(api: Stage, path: str) -> None:
    answer = await api.client.get(path, headers={"Authorization": ""})

    assert answer.status_code == 401


async def test_a_stranger_s_body_is_not_read(api: Stage) -> None:
    answer = await api.client.post("/v2/custom-numbers", content=b"{" * 10, headers={"Authorization": "Bearer x"})

    assert answer.status_code == 401


async def test_a_body_larger_than_allowed_is_refused_whether_or_not_it_says_so(api: Stage) -> None:
    async def parts() -> object:
        for _ in range(40):
            yield b" " * 65536

    said = await api.refused("POST", "/v2/custom-numbers", status=413, content=b" " * (2**20 + 1))
    unsaid = await api.refused("POST", "/v2/custom-numbers", status=413, content=parts())

    assert said == unsaid == "the body is larger than 1048576 bytes"


@pytest.mark.parametrize("half", ["\\ud800", "\\uDFFF", "\\ude00\\ud83d"])
async def test_half_of_a_character_is_refused_which_no_answer_could_give_back(api: Stage, half: str) -> None:
    """In one agent it would keep all from being listed."""
    body = b'{"type": "inbound", "name": "Ada", "agent": {"prompt": "\\ud83d\\ude00%s"}}'
    kind = {"Content-Type": "application/json"}
    said = await api.refused("POST", "/v2/assistants", status=400, content=body % half.encode(), headers=kind)
    await api.ask("POST", "/v2/assistants", content=body % b"", headers=kind)

    assert said == "the body holds half of a character: of \\ud800 to \\udfff only pairs mean something"
    assert (await api.get("/v2/assistants"))["response"]["assistants"][-1]["agent"]["prompt"] == "😀"


@pytest.mark.parametrize(
    "query", ["limit=&offset=", "is_available=", "is_available", "workspace=&limit=20&", "limit=20&limit=&%C3%BC"]
)
async def test_a_name_in_a_query_that_nothing_stands_behind_asks_for_nothing(api: Stage, query: str) -> None:
    assert await api.get(f"/v2/numbers?{query}") == await api.get("/v2/numbers")
    assert "limit: " in await api.refused("GET", f"/v2/numbers?{query}&limit=0", status=400)


async def test_answers_are_not_kept_by_caches_nor_taken_for_something_else(api: Stage) -> None:
    headers = (await api.client.get("/v2/numbers")).headers

    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


async def test_what_changes_something_is_logged_with_the_token_s_id(
    api: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    await api.post("/v2/phonebooks", {"name": "a private name"})
    said = capsys.readouterr().out

    assert "method=POST" in said
    assert "token=config:1" in said
    assert "a private name" not in said
