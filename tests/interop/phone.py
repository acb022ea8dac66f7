"""baresip as a phone without a desk: plays a tone, records what it hears, and does what it is told over TCP."""

import json
import re
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import read_wav, wav_header
from tests.interop.free_ports import free_control_port, free_media_ports, free_sip_port
from tests.interop.kamailio import DOMAIN, PASSWORD, Kamailio
from tests.interop.programs import Program, require, require_file
from tests.interop.waiting import PATIENCE_S, wait_until

TONE_HZ, TONE_DBFS = 1000, -12.0
_RATE_HZ = 8000
_TONE_MS = 60_000  # longer than any call of a test
_ATTACK_SAMPLES = _RATE_HZ * 3 // 10  # what is heard before the echo has settled
_NETSTRING = re.compile(rb"([0-9]{1,6}):")
_MODULE_FOLDERS = ("usr/lib/baresip/modules", "usr/lib/*/baresip/modules", "usr/local/lib/baresip/modules")

_CONFIG = """\
# baresip without sound card, screen or keyboard.
poll_method             epoll
sip_listen              127.0.0.1:{sip_port}
{tls}
net_interface           127.0.0.1
rtp_ports               {first_media_port}-{last_media_port}
jitter_buffer_delay     1-5
call_local_timeout      30

# Its voice is a file; what it hears is written into dump-...-dec.wav when the call is over. It plays to nobody.
audio_source            aufile,{folder}/tone.wav
audio_player            aubridge,nobody
audio_alert             aubridge,nobody
snd_path                {folder}

module_path             {modules}
module                  g711.so
module                  g722.so
module                  l16.so
module                  opus.so
opus_stereo             no
opus_sprop_stereo       no
opus_inbandfec          yes
module                  sndfile.so
module                  aufile.so
module                  aubridge.so
{encryption}
module_app              account.so
module_app              menu.so
module_app              ctrl_tcp.so

# JSON commands and events, each as a netstring.
ctrl_tcp_listen         127.0.0.1:{control_port}
statmode_default        off
ringback_disabled       yes
menu_bell               no
"""


class Phone:
    """One baresip. A context manager: started on entry, killed on exit.

    Attributes:
        port: UDP and TCP port; TLS is one higher.
        uri: where to call it directly.
        events: what it has told, oldest first.
    """

    def __init__(
        self,
        folder: Path,
        *,
        transport: str = "udp",
        codec: str = "PCMU",
        pbx: Kamailio | None = None,
        account: str = "phone",
        ca: str = "",
        proof: tuple[str, str] | None = None,
        mediaenc: str = "",
        rtcp_mux: bool = False,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            folder: empty; has its configuration, log and recordings.
            transport: udp, tcp or tls, of all that it sends.
            codec: PCMU or PCMA, or another in the form of baresip, such as "opus/48000/1"; the only one it offers.
            pbx: where it registers, if anywhere.
            account: its name, there or anywhere.
            ca: the authority that it trusts.
            proof: name and password for whoever challenges it; those of its account at `pbx` if there is one.
            mediaenc: how it encrypts audio: srtp, srtp-mand, srtp-mandf, dtls_srtp; "" for not at all.
            rtcp_mux: it offers one port for RTP and RTCP.
        """
        self._command = require("baresip", "baresip")
        self.port = _port_with_a_neighbour()
        self.uri = f"sip:{account}@127.0.0.1:{self.port};transport={transport}"
        self.events: list[dict[str, Any]] = []
        self._folder = folder
        self._rate_hz = int(codec.split("/")[1]) if "/" in codec else _RATE_HZ
        self._control_port = free_control_port()
        self._responses: dict[str, dict[str, Any]] = {}
        self._socket: socket.socket | None = None
        self._received = b""
        self._program: Program | None = None
        folder.mkdir(exist_ok=True)
        options = f";mediaenc={mediaenc}" if mediaenc else ""
        encryption = f"module {'dtls_srtp' if 'dtls' in mediaenc else 'srtp'}.so" if mediaenc else ""
        encryption += f"\nrtcp_mux {'yes' if rtcp_mux else 'no'}"
        self._write_files(_account(account, transport, codec, pbx, proof) + options, ca, encryption)

    def _write_files(self, account: str, ca: str, encryption: str) -> None:
        media = free_media_ports(20)
        text = _CONFIG.format(
            sip_port=self.port,
            tls=f"sip_cafile              {ca}" if ca else "",
            first_media_port=media.start,
            last_media_port=media.stop - 1,
            folder=self._folder,
            modules=_modules(),
            control_port=self._control_port,
            encryption=encryption,
        )
        (self._folder / "config").write_text(text, encoding="utf-8")
        (self._folder / "accounts").write_text(account + "\n", encoding="utf-8")
        (self._folder / "contacts").touch()
        tone = sine(TONE_HZ, _TONE_MS, level_dbfs=TONE_DBFS, sample_rate_hz=self._rate_hz)
        (self._folder / "tone.wav").write_bytes(wav_header(len(tone), self._rate_hz) + tone)

    def __enter__(self) -> Self:
        self._program = Program("baresip", [self._command, "-f", str(self._folder)], self._folder / "baresip.log")
        try:
            self._program.wait_for("baresip is ready")
            self._socket = socket.create_connection(("127.0.0.1", self._control_port), timeout=PATIENCE_S)
        except BaseException:  # whatever went wrong, it must not go on running
            self._program.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._program is not None:
            self._program.kill()

    def tail(self) -> str:
        return self._program.tail() if self._program is not None else ""

    def log(self) -> str:
        """Everything that it has written."""
        return self._program.output if self._program is not None else ""

    # What it is told, and tells

    def command(self, name: str, params: str = "") -> str:
        """Give a command and return what it answers."""
        assert self._socket is not None
        token = str(len(self._responses))
        text = json.dumps({"command": name, "params": params, "token": token}).encode()
        self._socket.sendall(b"%d:%s," % (len(text), text))
        response = wait_until(lambda: self._response(token), f"baresip's answer to {name}", evidence=self.tail)
        assert response is not None
        done = response["ok"] or name in ("resume", "hangup")  # baresip 1.1 says no, and does it if there is a call
        assert done, f"baresip could not {name} {params}: {response['data']}\n{self.tail()}"
        return str(response["data"])

    def wait_event(self, kind: str) -> Mapping[str, Any]:
        """Wait until it has told of an event, such as CALL_ESTABLISHED, since it was started."""

        def told() -> Mapping[str, Any] | None:
            self._read()
            return next((event for event in self.events if event["type"] == kind), None)

        event = wait_until(told, f"baresip's {kind}", evidence=lambda: f"{self.events}\n{self.tail()}")
        assert event is not None
        return event

    def _response(self, token: str) -> dict[str, Any] | None:
        self._read()
        return self._responses.get(token)

    def _read(self) -> None:
        """Take in what has come, without waiting."""
        assert self._socket is not None
        while select.select([self._socket], [], [], 0)[0]:
            data = self._socket.recv(65536)
            if not data:
                break
            self._received += data
        while (start := _NETSTRING.match(self._received)) is not None:
            end = start.end() + int(start[1])
            if len(self._received) <= end:
                break
            self._take(json.loads(self._received[start.end() : end]))
            self._received = self._received[end + 1 :]

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("event"):
            self.events.append(message)
        else:
            self._responses[message["token"]] = message

    # What it does

    def dial(self, uri: str) -> None:
        """Call, and wait for the answer."""
        self.command("dial", uri)
        self.wait_event("CALL_ESTABLISHED")

    def packets_heard(self) -> int:
        """How many RTP packets have come since the call was answered."""
        found = re.search(r"rcvd=([0-9]+)", self.command("audio_debug"))
        return int(found[1]) if found is not None else 0

    def wait_heard(self, packets: int) -> None:
        """Wait until so many more packets have come."""
        wanted = self.packets_heard() + packets
        wait_until(lambda: self.packets_heard() >= wanted, f"{packets} packets of audio", evidence=self.tail)

    def quit(self) -> None:
        """End the call, if there is one, and the program, so that its recordings are complete."""
        assert self._program is not None
        with suppress(OSError):
            self.command("hangup")
            self.command("quit")
        self._program.wait()

    def recorded(self) -> bytes:
        """What it has heard in its first call, s16le at its codec's rate, but for its beginning. After `quit`."""
        files = sorted(self._folder.glob("dump-*-dec.wav"))
        assert files, f"baresip has recorded nothing\n{self.tail()}"
        sound = read_wav(files[0].read_bytes())
        assert sound.sample_rate_hz == self._rate_hz
        return sound.pcm[2 * _ATTACK_SAMPLES * self._rate_hz // _RATE_HZ :]

    def heard_dbfs(self, hz: int = TONE_HZ) -> float:
        """How loud a tone is in `recorded`."""
        pcm = self.recorded()
        ms = len(pcm) * 500 // self._rate_hz
        assert ms >= 500, f"only {ms} ms were recorded\n{self.tail()}"
        return steady_dbfs(pcm, hz, self._rate_hz)


def steady_dbfs(pcm: bytes, hz: int, sample_rate_hz: int = _RATE_HZ) -> float:
    """Measure a tone in pieces of 100 ms, and give the median.

    Where a machine stalls, some audio is left out, and the tone goes on with another phase: over the whole it would
    seem weaker than it ever was.
    """
    piece = 2 * sample_rate_hz // 10
    pieces = [pcm[at : at + piece] for at in range(0, len(pcm) - piece + 1, piece)]
    return median(measure_tone(each, hz, sample_rate_hz) for each in pieces)


def _account(name: str, transport: str, codec: str, pbx: Kamailio | None, proof: tuple[str, str] | None) -> str:
    options = f"answermode=auto;audio_codecs={codec if '/' in codec else f'{codec}/8000/1'}"
    if pbx is not None:
        options += f';outbound="{pbx.proxy(transport)}"'
        proof = proof or (f"{name}-auth", PASSWORD)
    if proof is not None:
        options += f";auth_user={proof[0]};auth_pass={proof[1]}"
    host, refresh_s = (DOMAIN, 300) if pbx is not None else ("127.0.0.1", 0)
    return f"<sip:{name}@{host};transport={transport}>;regint={refresh_s};{options}"


def _modules() -> Path:
    for pattern in _MODULE_FOLDERS:
        for folder in Path("/").glob(pattern):
            return folder
    return require_file(Path("baresip/modules"), "baresip")


def _port_with_a_neighbour() -> int:
    """baresip takes the next port for TLS."""
    for _ in range(200):
        port = free_sip_port()
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no two neighbouring SIP ports are free on 127.0.0.1")
