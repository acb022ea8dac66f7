import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from sipflow.api.app import OPEN_PATHS, OPEN_PREFIXES, OPENAPI_PATH, create_app, scope_of
from sipflow.api.auth import Door
from sipflow.store.tokens import SCOPES
from tests.api.stage import Stage


def routes(api: Stage) -> list[APIRoute]:
    found: list[APIRoute] = api.app.state.routes
    return found


ONLY_LOOK = ("GET ", "HEAD ", "POST /v2/explain")  # the last one asks a question that is too long for a URL


def is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


async def test_every_route_needs_a_scope_and_writes_need_one_for_writing(api: Stage) -> None:
    found = {
        f"{method} {route.path}": scope_of(route)
        for route in routes(api)
        for method in route.methods or ()
        if not is_open(route.path)
    }

    assert len(found) > 30
    assert {key: scope for key, scope in found.items() if scope not in SCOPES} == {}
    assert [
        key
        for key, scope in found.items()
        if not key.startswith(ONLY_LOOK) and scope != "admin" and scope.endswith(":read")
    ] == []


async def test_each_route_turns_away_a_token_with_every_scope_but_its_own(api: Stage) -> None:
    wrong = []
    for route in routes(api):
        if is_open(route.path):
            continue
        scope = scope_of(route)
        family = scope.partition(":")[0]
        others = [each for each in SCOPES if each != "admin" and not each.startswith(family)]
        text = await api.token(*others)
        path = route.path.replace("{", "").replace("}", "")
        for method in route.methods or ():
            answer = await api.client.request(method, path, headers={"Authorization": f"Bearer {text}"})
            if answer.status_code != 403:
                wrong.append((method, path, answer.status_code))

    assert wrong == []


async def test_an_application_with_a_route_that_is_open_to_every_token_is_not_made(api: Stage) -> None:
    router = APIRouter()
    router.add_api_route("/v2/forgotten", lambda: None)

    with pytest.raises(ValueError, match="/v2/forgotten says no scope"):
        create_app(api.context, Door(None), routers=[router])


async def test_the_document_is_free_for_all_and_names_every_operation_once(api: Stage) -> None:
    document = (await api.client.get(OPENAPI_PATH, headers={"Authorization": ""})).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]

    assert document["openapi"].startswith("3.1")
    assert len(ids) == len(set(ids)) > 30
    assert [each["operationId"] for each in operations if not each.get("description")] == []
    for operation in operations:
        closed = {"401", "403"} if "security" in operation else set()
        assert {"400", "500", *closed} <= set(operation["responses"]), operation["operationId"]


async def test_the_document_says_which_scope_each_operation_needs(api: Stage) -> None:
    paths = (await api.client.get(OPENAPI_PATH)).json()["paths"]

    assert paths["/v2/numbers"]["get"]["security"] == [{"token": ["numbers:read"]}]
    assert "security" not in paths["/v2/health"]["get"]


async def test_passwords_are_write_only_in_the_document_and_no_answer_has_one(api: Stage) -> None:
    schemas = (await api.client.get(OPENAPI_PATH)).json()["components"]["schemas"]

    assert schemas["ImportNumber"]["properties"]["trunk_pwd"]["writeOnly"] is True
    assert schemas["CreateTrunk"]["properties"]["password"]["writeOnly"] is True
    assert [name for name in ("NumberDetail", "TrunkLine") if "password" in schemas[name]["properties"]] == []
