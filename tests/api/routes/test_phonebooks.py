from sipflow.api.routes.phonebooks import books_in
from tests.api.stage import Stage

SALES = {"phone_number": "+12065550199", "transfer_condition": "The caller wants to buy.\nNow."}


async def test_a_phone_book_is_made_filled_and_listed_as_in_the_reference(api: Stage) -> None:
    book = (await api.post("/v2/phonebooks", {"name": "Sales"}))["response"]["key"]
    entry = await api.post(f"/v2/phonebooks/{book}/entries", SALES)

    assert entry == {"status": "ok", "response": {"key": entry["response"]["key"]}}
    assert await api.get("/v2/phonebooks") == {
        "status": "ok",
        "response": {
            "total": 1,
            "page_size": 20,
            "page_number": 1,
            "items": [{"phone_book_id": book, "workspace_id": "", "name": "Sales", "entry_count": 1, "agents": []}],
        },
    }


async def test_a_phone_book_says_which_agents_name_it(api: Stage) -> None:
    sales, spare = [(await api.post("/v2/phonebooks", {"name": name}))["response"]["key"] for name in ("one", "two")]
    agents = []
    named: list[dict[str, object]] = [{"target": f"phonebook:{sales}/1"}, {"actions": [{"phone_book_id": sales}]}, {}]
    for said in named:
        body = {"type": "inbound", "name": "Ada", "agent": said, "handler": "echo"}
        agents.append((await api.post("/v2/assistants", body))["response"]["model_id"])
    items = (await api.get("/v2/phonebooks"))["response"]["items"]

    assert {item["phone_book_id"]: sorted(item["agents"]) for item in items} == {sales: sorted(agents[:2]), spare: []}


def test_books_are_found_wherever_they_are_named() -> None:
    assert books_in({"to": "phonebook:a", "more": [{"deep": ("phonebook:b/7",)}, {"phone_book_id": "c"}]}) == {
        "a",
        "b",
        "c",
    }
    assert books_in({"to": "my phonebook:a", "phone_book_id": 7, "secret": "a"}, None, 3) == set()


async def test_phone_books_come_in_pages(api: Stage) -> None:
    for name in ("one", "two", "three"):
        await api.post("/v2/phonebooks", {"name": name})
    page = (await api.get("/v2/phonebooks", params={"page_size": 2, "page_number": 2}))["response"]

    assert (page["total"], page["page_size"], page["page_number"]) == (3, 2, 2)
    assert [item["name"] for item in page["items"]] == ["three"]


async def test_the_entries_of_a_phone_book_can_be_seen_and_taken_out(api: Stage) -> None:
    book = (await api.post("/v2/phonebooks", {"name": "Sales"}))["response"]["key"]
    key = (await api.post(f"/v2/phonebooks/{book}/entries", SALES))["response"]["key"]
    (entry,) = (await api.get(f"/v2/phonebooks/{book}/entries"))["response"]["items"]
    answer = await api.delete(f"/v2/phonebooks/{book}/entries/{key}")

    assert {name: entry[name] for name in ("entry_id", *SALES)} == {"entry_id": key, **SALES}
    assert answer == {"status": "ok"}
    assert (await api.get(f"/v2/phonebooks/{book}/entries"))["response"] == {"items": []}


async def test_a_deleted_phone_book_is_gone_with_its_entries(api: Stage) -> None:
    book = (await api.post("/v2/phonebooks", {"name": "Sales"}))["response"]["key"]
    await api.post(f"/v2/phonebooks/{book}/entries", SALES)

    assert await api.delete(f"/v2/phonebooks/{book}") == {"status": "ok"}
    for method, path in (("DELETE", ""), ("GET", "/entries"), ("POST", "/entries")):
        body = {"json": SALES} if method == "POST" else {}
        sentence = await api.refused(method, f"/v2/phonebooks/{book}{path}", status=404, **body)
        assert sentence == f"there is no phone book {book!r}"


async def test_an_entry_needs_a_number_and_a_condition(api: Stage) -> None:
    book = (await api.post("/v2/phonebooks", {"name": "Sales"}))["response"]["key"]

    sentence = await api.refused("POST", f"/v2/phonebooks/{book}/entries", status=400, json={})
    assert sentence == "phone_number: it is missing; transfer_condition: it is missing"
