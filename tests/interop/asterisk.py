"""Asterisk on loopback: one that is installed, or one that `.ci/asterisk` has fetched, with files of a test's own."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import Program, Server, missing
from tests.interop.waiting import PATIENCE_S, wait_until

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sipflow-tests" / "asterisk"
_LOADED = (
    "app_*", "bridge_*", "chan_audiosocket", "chan_pjsip", "codec_*", "format_*", "func_*", "pbx_config",
    "res_audiosocket", "res_clioriginate", "res_crypto", "res_format_attr_*", "res_musiconhold", "res_pjproject",
    "res_pjsip*", "res_rtp_asterisk", "res_sorcery_*", "res_srtp", "res_timing_timerfd",
)  # fmt: skip
_NEED_MORE = (
    "app_adsiprog", "app_agent_pool", "app_alarmreceiver", "app_amd", "app_confbridge", "app_festival", "app_followme",
    "app_getcpeid", "app_jack", "app_minivm", "app_page", "app_queue", "app_sla", "app_speech_utils", "app_stasis*",
    "app_voicemail*", "func_aes", "func_curl", "func_odbc", "res_pjsip_geolocation", "res_pjsip_history",
    "res_pjsip_notify", "res_pjsip_phoneprov*", "res_pjsip_publish*", "res_pjsip_stir_shaken",
    "res_pjsip_transport_websocket", "res_sorcery_memory_cache",
)  # fmt: skip
_FOLDERS = """\
[directories]
astetcdir => {folder}
astmoddir => {modules}
astvarlibdir => {folder}
astdbdir => {folder}
astkeydir => {folder}
astdatadir => {data}
astagidir => {folder}
astspooldir => {folder}
astrundir => {folder}
astlogdir => {folder}
"""
_LOGGER = "[general]\ndateformat=%H:%M:%S.%3q\n[logfiles]\nconsole => notice,warning,error,verbose\n"


class Asterisk(Server):
    """A PBX.

    Attributes:
        port: for UDP and TCP, as `bind=0.0.0.0:5060` of its files becomes.
        version: of Asterisk, such as 22.
    """

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        """Write its files into `folder`.

        Args:
            folder: empty; kept. Its path is short, for a socket is made there.
            files: configuration files by name; `0.0.0.0:5060` in them becomes its port on loopback.
        """
        super().__init__()
        self._command, root = _find()
        self.port = free_sip_port()
        self.version = int(re.findall("[0-9]+", self._run("-V"))[0])
        self._folder = folder
        modules = _folder(root, "usr/lib/asterisk/modules", "usr/lib/*/asterisk/modules")
        data = _folder(root, "usr/share/asterisk", "var/lib/asterisk")
        media = free_media_ports(60)
        own = {
            "asterisk.conf": _FOLDERS.format(folder=folder, modules=modules, data=data),
            "logger.conf": _LOGGER,
            "modules.conf": _modules(modules),
            "rtp.conf": f"[general]\nrtpstart={media.start}\nrtpend={media.stop - 1}\n",
        }
        for name, text in {**own, **files}.items():
            (folder / name).write_text(text.replace("0.0.0.0:5060", f"127.0.0.1:{self.port}"), encoding="utf-8")

    def _run(self, *options: str) -> str:
        command = [self._command, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout

    def start(self) -> None:
        """Start it, again if need be, and wait until it is ready."""
        command = [self._command, "-C", str(self._folder / "asterisk.conf"), "-f", "-n", "-vvvv"]
        self.program = Program("asterisk", command, self._folder / "asterisk.log", cwd=self._folder)
        self.program.wait_for("^Asterisk Ready.")

    def cli(self, command: str) -> str:
        """Give it a command, as in `asterisk -r`, and return what it answers."""
        return self._run("-C", str(self._folder / "asterisk.conf"), "-rx", command)

    def wait_cli(self, command: str, pattern: str) -> re.Match[str]:
        """Give a command again and again until what it answers matches."""
        assert self.program is not None
        found = wait_until(
            lambda: re.search(pattern, self.cli(command), re.MULTILINE),
            f"{pattern!r} from {command}",
            evidence=self.program.tail,
        )
        assert found is not None
        return found


def _find() -> tuple[str, Path]:
    """Return the command, and the root of what it was installed into."""
    path = f"{_CACHE / 'bin'}:{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin"
    command = shutil.which("asterisk", path=path)
    if command is None:
        missing("Asterisk is not here (.ci/asterisk fetches it)")
    assert command is not None
    return command, _CACHE / "root" if Path(command).is_relative_to(_CACHE) else Path("/")


def _folder(root: Path, *patterns: str) -> Path:
    """The first folder that is there."""
    found = [path for pattern in patterns for path in root.glob(pattern)]
    assert found, f"no {patterns} in {root}"
    return found[0]


def _modules(folder: Path) -> str:
    """Only what calls need: some modules look for databases, and for seconds."""
    names = sorted(file.stem for file in folder.glob("*.so"))
    wanted = [name for name in names if _matches(name, _LOADED) and not _matches(name, _NEED_MORE)]
    return "[modules]\nautoload=no\n" + "".join(f"load={name}.so\n" for name in wanted)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
