"""Until when our own certificates are good: said at the start and at each reload, before callers are refused."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from sipflow.config.configuration import Configuration

log = structlog.get_logger("sipflow.daemon")
_SOON = timedelta(days=3)  # there are certificates that last for six


def files_of(configuration: Configuration) -> tuple[str, ...]:
    """Name the files of the certificates that we show, each once."""
    tls, api = configuration.sip.tls, configuration.api
    files = (tls.certificate, tls.client_certificate, api.certificate if api is not None else "")
    return tuple(dict.fromkeys(filter(None, files)))


async def say_ends(files: Sequence[str]) -> None:
    """Log which of the certificates in these PEM files are not good any more, not yet, or not for long."""
    if files:
        for sentence in await asyncio.to_thread(troubles, files, datetime.now(UTC)):
            log.warning(sentence)


def troubles(files: Sequence[str], now: datetime) -> list[str]:
    """Say what is wrong with the times of the certificates at `now`; a file that cannot be read is told elsewhere."""
    from cryptography import x509  # only who has certificates needs it

    found = []
    for file in files:
        try:
            certificate = x509.load_pem_x509_certificate(Path(file).read_bytes())
        except (OSError, ValueError):
            continue
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now >= end:
            found.append(f"the certificate {file} ran out on {end:%Y-%m-%d}: whoever checks it refuses us; renew it")
        elif now < begin:
            found.append(f"the certificate {file} begins on {begin:%Y-%m-%d}: whoever checks it refuses us until then")
        elif end - now < _SOON:
            found.append(f"the certificate {file} runs out on {end:%Y-%m-%d}: renew it, then reload")
    return found
