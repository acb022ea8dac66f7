"""Talks to the API of a daemon that runs as a process."""

from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from tests.interop.daemon import Daemon
from tests.interop.free_ports import free_sip_port
from tests.interop.waiting import wait_until

TOKEN = "a token of the tests, long enough"


class Api:
    """The API of a daemon: `section` goes into its configuration. A context manager once the daemon runs.

    Attributes:
        section: of the configuration.
    """

    def __init__(self) -> None:
        self._port = free_sip_port()
        self.section = {"listen": f"127.0.0.1:{self._port}", "tokens": [TOKEN]}
        self._client: httpx.Client | None = None

    def wait(self, daemon: Daemon) -> Self:
        """Wait until it is open."""

        def answers() -> bool:
            assert daemon.program.running, daemon.program.tail()
            with suppress(httpx.TransportError):
                return httpx.get(f"http://127.0.0.1:{self._port}/v2/health").status_code == 200
            return False

        wait_until(answers, "an answer of the API", evidence=daemon.program.tail)
        return self

    def __enter__(self) -> Self:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}/v2", headers=headers, timeout=20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        self._client.close()

    def ask(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        """Send a request whose answer must have this status; return its body."""
        assert self._client is not None
        answer = self._client.request(method, path, json=body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def registration(self, slug: str, *, state: str) -> dict[str, Any]:
        """Wait until the registration of a number is in this state; return all that is said of it."""

        def there() -> dict[str, Any] | None:
            found: dict[str, Any] = self.ask("GET", f"/numbers/{slug}")["registration"]
            return found if found["state"] == state else None

        found = wait_until(there, f"registration {state}", evidence=lambda: str(self.ask("GET", f"/numbers/{slug}")))
        assert found is not None
        return found
