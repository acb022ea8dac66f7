"""Kamailio as a small PBX: see kamailio.cfg, which is a configuration to learn from."""

import json
import re
import sqlite3
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.free_ports import free_sip_port
from tests.interop.programs import Program, Server, require, require_file
from tests.interop.waiting import wait_until
from tests.net.certificates import Certificate, Certificates

DOMAIN = "pbx.nowhere.invalid"  # RFC 6761 §6.4: no such name will ever resolve
PASSWORD = "sesame-4711"
NUMBERS = {"+12065550101": "2001", "+12065550102": "2002", "+12065550103": "2003", "+12065550104": "2004"}
ACCOUNTS = (*NUMBERS.values(), "2101", "2102", "barred")

_HERE = Path(__file__).parent
_MODULE_FOLDERS = ("/usr/lib/*/kamailio/modules", "/usr/lib*/kamailio/modules", "/usr/local/lib*/kamailio/modules")


@dataclass(frozen=True)
class Binding:
    """One contact of a registered account."""

    contact: str
    received: str
    expires_s: int
    user_agent: str


class Kamailio(Server):
    """A registrar and proxy on loopback.

    Attributes:
        port: for UDP and TCP.
        tls_port: for TLS.
    """

    def __init__(
        self,
        folder: Path,
        certificates: Certificates,
        *,
        certificate: Certificate | None = None,
        algorithm: str = "MD5",
        nat: bool = False,
    ) -> None:
        """Write its files into `folder`.

        Args:
            folder: empty; kept.
            certificates: the authority it trusts, and signed by which it shows itself.
            certificate: what it shows instead.
            algorithm: of its digests.
            nat: whether it calls phones on the connections that they opened.
        """
        super().__init__()
        self._command = require("kamailio", "kamailio")
        modules = modules_folder()
        self.port, self.tls_port = free_sip_port(), free_sip_port()
        self._folder = folder
        self._nat = nat
        own = certificate or certificates.server
        _write_database(folder / "users.sqlite")
        tls = {"CERTIFICATE": own.certificate, "KEY": own.key, "CA": certificates.ca}
        self._fill("tls.cfg", tls)
        self._fill(
            "kamailio.cfg",
            {
                "DOMAIN": DOMAIN,
                "SIP_PORT": str(self.port),
                "TLS_PORT": str(self.tls_port),
                "DB": str(folder / "users.sqlite"),
                "TLS_CFG": str(folder / "tls.cfg"),
                "MODULES": str(modules),
                "ALGORITHM": algorithm,
            },
        )

    def _fill(self, name: str, values: dict[str, str]) -> None:
        text = (_HERE / name).read_text(encoding="utf-8")
        for word, value in values.items():
            text = text.replace(f"@{word}@", value)
        (self._folder / name).write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Start it, again if need be, and wait until it answers."""
        command = [self._command, "-f", str(self._folder / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4"]
        command += ["-Y", str(self._folder), *(["-A", "WITH_NAT"] if self._nat else [])]
        program = Program("kamailio", command, self._folder / "kamailio.log", cwd=self._folder)
        self.program = program

        def answers() -> bool:
            assert program.running, program.tail()
            try:
                self.rpc("core.version")
            except OSError:
                return False
            return True

        wait_until(answers, "kamailio's first answer", evidence=program.tail)

    def proxy(self, transport: str) -> str:
        """What to write as outbound proxy."""
        port = self.tls_port if transport == "tls" else self.port
        return f"sip:127.0.0.1:{port};transport={transport}"

    def trunk(self, account: str, transport: str, **more: Any) -> dict[str, Any]:
        """What a configuration of sipflow says of an account here."""
        fields = {"sip_domain": DOMAIN, "outbound_proxy": self.proxy(transport), "username": account}
        return {**fields, "auth_username": f"{account}-auth", "password": PASSWORD, **more}

    @property
    def output(self) -> str:
        assert self.program is not None
        return self.program.output

    def seen(self, pattern: str) -> list[str]:
        """Every line of its log that matches."""
        return [line for line in self.output.splitlines() if re.search(pattern, line)]

    def rpc(self, method: str, *params: str) -> Any:
        """Call a JSON-RPC command of Kamailio and return its result.

        Raises:
            OSError: it does not answer.
        """
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/RPC",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return json.load(response)["result"]
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def bindings(self, account: str) -> list[Binding]:
        """Who is registered for an account now."""
        found = self.rpc("ul.lookup", "location", f"{account}@{DOMAIN}")
        contacts = [each["Contact"] for each in found.get("Contacts", [])]
        return [
            Binding(each["Address"], each["Received"], each["Expires"], each["User-Agent"])
            for each in contacts
            if each["Expires"] not in ("deleted", "expired")
        ]

    def wait_registered(self, account: str, *, count: int = 1) -> list[Binding]:
        """Wait until so many contacts are registered for an account."""

        def settled() -> tuple[list[Binding]] | None:
            found = self.bindings(account)
            return (found,) if len(found) == count else None

        assert self.program is not None
        what = f"{count} contacts of account {account}"
        found = wait_until(settled, what, evidence=self.program.tail)
        assert found is not None
        return found[0]


def modules_folder() -> Path:
    """Where its modules are."""
    for pattern in _MODULE_FOLDERS:
        for folder in Path("/").glob(pattern.lstrip("/")):
            require_file(folder / "tls.so", "kamailio-tls-modules")
            require_file(folder / "db_sqlite.so", "kamailio-sqlite-modules")
            return folder
    return require_file(Path("kamailio/modules"), "kamailio")


def _write_database(file: Path) -> None:
    """The tables that auth_db and alias_db read, with the columns of Kamailio's own scripts; and `account`, ours."""
    database = sqlite3.connect(file)
    database.executescript(
        """
        CREATE TABLE version (table_name VARCHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL);
        INSERT INTO version VALUES ('subscriber', 7), ('dbaliases', 1);
        CREATE TABLE subscriber (
            id INTEGER PRIMARY KEY NOT NULL, username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL,
            password VARCHAR(64) NOT NULL, ha1 VARCHAR(128) DEFAULT '' NOT NULL, ha1b VARCHAR(128) DEFAULT '' NOT NULL,
            account VARCHAR(64) NOT NULL
        );
        CREATE TABLE dbaliases (
            id INTEGER PRIMARY KEY NOT NULL, alias_username VARCHAR(64) NOT NULL, alias_domain VARCHAR(64) NOT NULL,
            username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL
        );
        """
    )
    database.executemany(
        "INSERT INTO subscriber (username, domain, password, account) VALUES (?, ?, ?, ?)",
        [(f"{account}-auth", DOMAIN, PASSWORD, account) for account in ACCOUNTS],
    )
    database.executemany(
        "INSERT INTO dbaliases (alias_username, alias_domain, username, domain) VALUES (?, ?, ?, ?)",
        [(number, DOMAIN, account, DOMAIN) for number, account in NUMBERS.items()],
    )
    database.commit()
    database.close()
