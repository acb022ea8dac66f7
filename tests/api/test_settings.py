import pytest

from sipflow.api.settings import Settings
from sipflow.errors import LocalProtocolError


def test_tokens_stand_in_no_repr() -> None:
    assert "a secret token" not in repr(Settings(tokens=("a secret token",)))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"certificate": "a.pem"}, "certificate: certificate and key go together; set both or none"),
        ({"max_body_bytes": 10}, "max_body_bytes: it is not in 1024..16777216"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        Settings(**wrong)  # type: ignore[arg-type]

    assert str(refusal.value) == sentence
