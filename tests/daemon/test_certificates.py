from datetime import UTC, datetime, timedelta
from pathlib import Path

from sipflow.daemon.certificates import troubles
from tests.interop.daemon import Daemon
from tests.net.certificates import make_certificates


def test_a_certificate_is_told_of_before_and_after_it_runs_out_and_before_it_begins(tmp_path: Path) -> None:
    made, now = make_certificates(tmp_path), datetime.now(UTC)
    good, old = made.server.certificate, made.expired.certificate
    day = timedelta(days=1)

    def said(files: list[str], at: datetime) -> list[str]:
        return [each.replace(str(tmp_path), "").split(" on ")[0] for each in troubles(files, at)]

    assert said([good, str(tmp_path / "none.pem"), str(tmp_path)], now) == []
    assert said([good], now + 4 * day) == ["the certificate /server.pem runs out"]
    assert said([good, old], now + 30 * day) == [
        f"the certificate /{name}.pem ran out" for name in ("server", "expired")
    ]
    assert said([good], now - 30 * day) == ["the certificate /server.pem begins"]


def test_an_expired_certificate_is_told_of_at_the_start_and_what_a_reload_finds_is_told(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    certificate, key = tmp_path / "now.pem", tmp_path / "now.key"
    certificate.write_text(Path(made.expired.certificate).read_text())
    key.write_text(Path(made.expired.key).read_text())
    with Daemon(tmp_path, tls={"certificate": str(certificate), "key": str(key)}) as daemon:
        daemon.wait_said("^the certificate .* ran out on .*: whoever checks it refuses us")
        key.write_text(Path(made.server.key).read_text())
        daemon.reload()
        (refused,) = daemon.wait_said("^the certificates were not reloaded; the old ones stay in use")
        certificate.write_text(Path(made.server.certificate).read_text())
        daemon.reload()
        daemon.wait_said("^the certificates have been read again")

    assert refused["why"].endswith("the key does not belong to the certificate")
