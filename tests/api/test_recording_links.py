from urllib.parse import parse_qs, urlsplit

import pytest

from sipflow.api.recording_links import RecordingLinks
from sipflow.errors import ApiError

DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def parts(link: str) -> tuple[str, str, str]:
    url = urlsplit(link)
    query = parse_qs(url.query)
    return url.path.rpartition("/")[2], query["expires"][0], query["signature"][0]


def test_a_link_opens_for_its_time_and_no_longer() -> None:
    clock = Clock()
    links = RecordingLinks(b"secret", life_s=DAY_S, clock=clock)
    link = links.link("c0ffee.wav")
    clock.now += DAY_S - 1
    links.check(*parts(link))
    clock.now += 1
    with pytest.raises(ApiError) as refused:
        links.check(*parts(link))

    assert link.startswith("/v2/recordings/c0ffee.wav?expires=1800086400&signature=")
    assert (refused.value.status, refused.value.category) == (403, "expired")


def test_everybody_gets_the_same_link_while_it_is_good_and_then_another() -> None:
    clock = Clock()
    links = RecordingLinks(b"secret", life_s=DAY_S, clock=clock)
    first = links.link("c0ffee.wav")
    clock.now += DAY_S - 61
    again = links.link("c0ffee.wav")
    clock.now += 2  # so little is left that it is of no use
    fresh = links.link("c0ffee.wav")

    assert again == first
    assert fresh != first
    links.check(*parts(first))
    links.check(*parts(fresh))


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, "beef.wav"), (0, "c0ffee.ogg"), (1, "1999999999"), (1, ""), (1, "²"), (2, ""), (2, "0" * 64), (2, "ü")],
)
def test_whatever_is_changed_in_a_link_closes_it(place: int, value: str) -> None:
    links = RecordingLinks(b"secret", life_s=DAY_S)
    changed = list(parts(links.link("c0ffee.wav")))
    changed[place] = value
    with pytest.raises(ApiError) as refused:
        links.check(*changed)

    assert refused.value.status == 403


def test_another_secret_opens_nothing() -> None:
    link = RecordingLinks(b"secret", life_s=DAY_S).link("c0ffee.wav")
    with pytest.raises(ApiError):
        RecordingLinks(b"another", life_s=DAY_S).check(*parts(link))
