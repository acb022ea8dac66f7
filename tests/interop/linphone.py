"""linphonec as a phone without a desk: it follows a REFER to a call that is to be replaced, and may be replaced itself.

baresip does neither with Replaces (RFC 3891); Linphone does both. What it plays is a file, which it does not go on
with in the call that takes the place of another: who hears whom is measured with baresip.
"""

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import Program, require

_TONE_HZ = 700
_TONE_MS = 60_000
_CONFIG = """\
[sip]
sip_port={sip_port}
sip_tcp_port=-1
sip_tls_port=-1
contact=sip:{name}@127.0.0.1
bind_address=127.0.0.1
use_ipv6=0
ipv6_migration_done=1
guess_hostname=0

[rtp]
audio_rtp_port={media_port}

[sound]
echocancellation=0

[video]
enabled=0
capture=0
display=0
"""


class Linphone:
    """One linphonec, which answers every call. A context manager: started on entry, killed on exit.

    Attributes:
        name: user part of its address.
        port: UDP.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Prepare; nothing runs yet.

        Args:
            folder: not there yet; has its configuration and log.
            name: user part of its address.
        """
        self.name = name
        self.port = free_sip_port()
        self._folder = folder
        self._command = require("linphonec", "linphone-cli")
        (folder / ".local/share/linphone").mkdir(parents=True)  # or else it complains
        voice = sine(_TONE_HZ, _TONE_MS, level_dbfs=-12.0)
        (folder / "tone.wav").write_bytes(wav_header(len(voice)) + voice)
        (folder / "linphonerc").write_text(
            _CONFIG.format(sip_port=self.port, name=name, media_port=free_media_ports(2).start), encoding="utf-8"
        )
        os.mkfifo(folder / "commands")
        self._commands = -1
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        assert self._program is not None
        return self._program

    def __enter__(self) -> Self:
        # Debian's linphonec reads its commands from standard input, and ends with it.
        line = f"exec {self._command} -c linphonerc -d 0 -a < commands"
        log = self._folder / "linphonec.log"
        self._program = Program("linphonec", ["sh", "-c", line], log, env={"HOME": str(self._folder)}, cwd=self._folder)
        self._commands = os.open(self._folder / "commands", os.O_WRONLY)
        self.tell("codec disable all")
        number = self.program.wait_for(r"^ *([0-9]+): PCMU \(8000\) disabled$")[1]
        self.tell(f"codec enable {number}")
        self.tell("soundcard use files tone.wav")
        self.program.wait_for("^linphonec> soundcard use files tone.wav$")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._commands)
        self.program.kill()

    def tell(self, command: str) -> None:
        """Give it a command, as one would type it."""
        os.write(self._commands, f"{command}\n".encode())

    def count(self, pattern: str) -> int:
        """How often it has said something."""
        return len(re.findall(pattern, self.program.output, re.MULTILINE))

    def quit(self) -> None:
        """End its calls and the program."""
        self.tell("terminate all")
        self.tell("quit")
        self.program.wait()
