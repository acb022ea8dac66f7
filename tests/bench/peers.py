"""Whom our figures stand beside: Kamailio's stateful relay and Sippy's B2BUA, both between two SIPps."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import sipp
from tests.bench.programs import MEASURED, MissingProgram, Program, find, wait_for_port
from tests.interop.free_ports import free_sip_port

_MODULES = ("/usr/lib/*/kamailio/modules", "/usr/lib*/kamailio/modules", "/usr/local/lib*/kamailio/modules")
_KAMAILIO = """\
#!KAMAILIO
# The least that relays a call statefully: one worker. The caller keeps no route set, so all goes one way.
listen=udp:127.0.0.1:{port}
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
debug=0
log_stderror=yes
mpath="{modules}"
loadmodule "tm.so"
loadmodule "pv.so"

request_route {{
    $du = "sip:127.0.0.1:{callee}";
    t_relay();
}}
"""


@contextmanager
def kamailio(folder: Path) -> Iterator[tuple[Program, int]]:
    """Run Kamailio as a relay to a SIPp that answers; gives the program and its port.

    Raises:
        MissingProgram: Kamailio or SIPp is not installed.
    """
    command, modules = find("kamailio"), _modules()
    port, callee = free_sip_port(), free_sip_port()
    file = folder / "kamailio.cfg"
    file.write_text(_KAMAILIO.format(port=port, callee=callee, modules=modules), encoding="utf-8")
    arguments = [command, "-f", str(file), "-DD", "-E", "-m", "128", "-M", "8", "-Y", str(folder)]
    with sipp.answering(folder, callee) as answering:
        wait_for_port(answering, callee)
        with Program("kamailio", arguments, folder, core=MEASURED) as program:
            wait_for_port(program, port)
            yield program, port


@contextmanager
def sippy(folder: Path) -> Iterator[tuple[Program, int]]:
    """Run Sippy's simple B2BUA to a SIPp that answers; gives the program and its port.

    Raises:
        MissingProgram: Sippy or SIPp is not installed.
    """
    command = find("b2bua_simple", beside=Path(sys.executable).parent)
    port, callee = free_sip_port(), free_sip_port()
    arguments = [command, "-f", "-l", "127.0.0.1", "-p", str(port), "-n", f"127.0.0.1:{callee}"]
    with sipp.answering(folder, callee) as answering:
        wait_for_port(answering, callee)
        # Without this it writes every message into its log.
        with Program("sippy", arguments, folder, core=MEASURED, env={"SIPLOG_BEND": "none"}) as program:
            wait_for_port(program, port)
            yield program, port


def _modules() -> Path:
    for pattern in _MODULES:
        for folder in Path("/").glob(pattern.lstrip("/")):
            if (folder / "tm.so").exists():
                return folder
    raise MissingProgram("kamailio's modules are not installed")
