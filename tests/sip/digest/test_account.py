import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest.account import Account


def test_the_password_appears_in_no_repr() -> None:
    account = Account("alice", "wonderland", "pbx")

    assert repr(account) == "Account(username='alice', realm='pbx')"
    assert "wonderland" not in f"{account} {[account]!r} {account!a}"


@pytest.mark.parametrize(
    ("username", "password", "realm"),
    [
        ("alice\r\nX-Evil: 1", "p", None),
        ("alice\0", "p", None),
        ("alice", "p", "a\nb"),
        ("al\ud800ice", "p", None),
        ("alice", "secret\ud800", None),
        ("alice", "p", "\ud800"),
    ],
)
def test_text_that_could_break_a_header_is_refused_without_telling_the_password(
    username: str, password: str, realm: str | None
) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Account(username, password, realm)

    assert password not in str(caught.value).split()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_any_printable_name_and_password_will_do() -> None:
    account = Account('Jäsøn "Doe\\', "Secret, or not?:\t", "üñí")

    assert (account.username, account.password, account.realm) == ('Jäsøn "Doe\\', "Secret, or not?:\t", "üñí")
