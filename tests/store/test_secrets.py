"""Secrets at rest."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sipflow.errors import StoreError
from sipflow.store.secrets import Cipher, own_key

OLD, NEW = "an old key of more than 32 characters", "a new key of more than 32 characters"


def test_a_secret_comes_back_and_is_not_to_be_seen() -> None:
    cipher = Cipher((OLD,))
    data = cipher.encrypt("open sesame é", about="trunks.password:pbx")

    assert b"sesame" not in data
    assert cipher.decrypt(data, about="trunks.password:pbx") == "open sesame é"
    assert data != cipher.encrypt("open sesame é", about="trunks.password:pbx")


def test_a_secret_that_was_moved_or_changed_does_not_open() -> None:
    cipher = Cipher((OLD,))
    data = cipher.encrypt("open sesame", about="trunks.password:pbx")

    for changed, about in ((data, "trunks.password:other"), (data[:-1] + bytes([data[-1] ^ 1]), "trunks.password:pbx")):
        with pytest.raises(StoreError, match="changed by somebody else, or damaged"):
            cipher.decrypt(changed, about=about)


def test_the_newest_key_encrypts_and_each_decrypts() -> None:
    data = Cipher((OLD,)).encrypt("open sesame")
    both = Cipher((NEW, OLD))

    assert both.decrypt(data) == "open sesame"
    assert both.is_old(data)
    assert not both.is_old(both.encrypt("open sesame"))
    assert Cipher((NEW,)).decrypt(both.encrypt("open sesame")) == "open sesame"


@pytest.mark.parametrize("data", [b"", b"\x01", b"plain text that nobody encrypted"])
def test_what_no_key_of_ours_encrypted_is_told(data: bytes) -> None:
    cipher = Cipher((NEW,))

    with pytest.raises(StoreError, match="encrypted with another key: give the old key as well"):
        cipher.decrypt(data)
    assert not cipher.is_old(data)
    with pytest.raises(StoreError, match="another key"):
        cipher.decrypt(Cipher((OLD,)).encrypt("open sesame"))


def test_a_key_of_our_own_is_made_once_for_its_owner_only_and_said_once(tmp_path: Path) -> None:
    file = tmp_path / "sipflow.db.key"
    with capture_logs() as logs:
        key = own_key(file)
        again = own_key(file)

    assert (len(key), again, file.stat().st_mode & 0o777) == (64, key, 0o600)
    assert [line["log_level"] for line in logs] == ["warning"]
    assert key not in str(logs)


def test_a_key_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "noise").write_bytes(b"\xff\xfe")

    with pytest.raises(StoreError, match="is empty: put the key back from your copy"):
        own_key(tmp_path / "empty")
    with pytest.raises(StoreError, match="cannot be read: it is not text"):
        own_key(tmp_path / "noise")
    with pytest.raises(StoreError, match=r"cannot be written to .*: No such file or directory"):
        own_key(tmp_path / "nowhere" / "key")
