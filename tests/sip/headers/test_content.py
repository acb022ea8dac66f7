import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.content import MediaType, accepts


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        ("application/sdp", MediaType("application", "sdp")),
        ("Application / SDP", MediaType("application", "sdp")),
        (
            'multipart/mixed ; boundary="a;b"',
            MediaType("multipart", "mixed", (("boundary", '"a;b"'),)),
        ),
        ("*/*;q=0.1", MediaType("*", "*", (("q", "0.1"),))),
    ],
)
def test_a_media_type_is_read_and_written(text: str, media_type: MediaType) -> None:
    assert MediaType.parse(text) == media_type
    assert MediaType.parse(str(media_type)) == media_type


def test_a_parameter_is_read_unquoted() -> None:
    media_type = MediaType.parse('multipart/mixed;boundary="a;b"')

    assert (media_type.essence, media_type.param("boundary"), media_type.param("x")) == ("multipart/mixed", "a;b", None)


@pytest.mark.parametrize("text", ["", "application", "/sdp", "application/", "a/b/c", "a b/c", "a/b;", "a/b, c/d"])
def test_what_is_no_media_type_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        MediaType.parse(text)


@pytest.mark.parametrize(
    ("lines", "taken"),
    [
        (["application/sdp"], True),
        (["text/plain, APPLICATION/SDP;q=0.2"], True),
        (["text/plain", "application/*"], True),
        (["*/*"], True),
        (["text/nobodyKnowsThis"], False),
        (["*/*, application/sdp;q=0"], False),
        (["application/sdp;q=0.0", "application/*"], False),
        (["application/*;q=0.000, */*"], False),
        (["*/*;q=0, application/sdp;q=0.001"], True),
        ([""], False),
        ([], False),
    ],
)
def test_the_most_specific_range_decides(lines: list[str], taken: bool) -> None:
    assert accepts(lines, "application/sdp") is taken


def test_a_broken_accept_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        accepts(["application"], "application/sdp")
