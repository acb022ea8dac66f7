import pytest

from sipflow.sip.headers.names import COMPACT_FORMS, KEYS, header_key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Via", "via"),
        ("VIA", "via"),
        ("v", "via"),
        ("V", "via"),
        ("Via \t", "via"),
        ("l ", "content-length"),
        ("X-Call-Note", "x-call-note"),
        ("C%6Fntact", "c%6fntact"),
    ],
)
def test_names_are_matched_case_blind_and_in_compact_form(name: str, key: str) -> None:
    assert header_key(name) == key
    assert header_key(name) == key  # the second time from the cache


@pytest.mark.parametrize("name", ["", " ", " Via", "Via\x0b", "Via\0", "Vi a", "Ví", "Via\xa0", "<Via>", "\x0bVia"])
def test_what_is_no_token_is_no_name(name: str) -> None:
    assert header_key(name) is None


def test_every_compact_form_is_known_in_both_cases() -> None:
    assert {form: header_key(form.upper()) for form in COMPACT_FORMS} == COMPACT_FORMS


def test_invented_names_do_not_grow_the_cache_without_end() -> None:
    for number in range(5000):
        assert header_key(f"X-Invented-{number}") == f"x-invented-{number}"
    assert header_key("X-" + "y" * 100) == "x-" + "y" * 100

    assert len(KEYS) <= 2048
    assert max(map(len, KEYS)) <= 48
