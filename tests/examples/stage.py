"""The examples of docs/examples as their reader runs them, on free ports; and a caller who speaks with espeak-ng."""

import asyncio
import importlib
import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sipflow.audio.resample import resample
from sipflow.audio.tones import level_dbfs
from sipflow.audio.wav import read_wav
from sipflow.calls.dialling import plan_call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.daemon.build import build
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as NetSettings
from sipflow.numbers.inventory import Inventory
from sipflow.trunks.table import TrunkTable
from tests.interop.daemon import ANSWERED, SIPFLOW
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import ROOT, Program, missing, require
from tests.interop.waiting import PATIENCE_S

EXAMPLES = ROOT / "docs" / "examples"
RATE_HZ = 8000
_PORTS = 40


class Example:
    """`sipflow run docs/examples/NAME.yaml`, with other ports. A context manager.

    Attributes:
        folder: where its files and those of its calls are.
    """

    def __init__(self, name: str, folder: Path, **changes: str) -> None:
        """Copy the examples; `changes` are texts of the YAML file and what stands in their place."""
        self.folder = folder
        self._port, media = free_sip_port(), free_media_ports(_PORTS)
        copied = folder / "examples"
        shutil.copytree(EXAMPLES, copied, ignore=shutil.ignore_patterns("__pycache__"))
        self._file = copied / f"{name}.yaml"
        text = self._file.read_text(encoding="utf-8")
        changes = {":5060": f":{self._port}", "10000-10099": f"{media.start}-{media.stop - 1}", **changes}
        for before, after in changes.items():
            assert before in text, f"{name}.yaml has no {before!r}"
            text = text.replace(before, after)
        self._file.write_text(text, encoding="utf-8")
        self._program: Program | None = None

    def __enter__(self) -> Self:
        command = [SIPFLOW, "run", str(self._file)]
        self._program = Program("sipflow run", command, self.folder / "sipflow.log", cwd=self.folder)
        self._program.wait_for(r"^sipflow \S+ is ready$")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.program.kill()

    @property
    def program(self) -> Program:
        assert self._program is not None
        return self._program

    @asynccontextmanager
    async def called(self) -> AsyncIterator["Talk"]:
        """Call it from this process, over real sockets, and hang up in the end."""
        media = free_media_ports(4)
        edge = build(
            router=Router(TrunkTable(secret=bytes(16)), Inventory()),
            agents=lambda _tasks: Nobody(),
            net=NetSettings(listen=(ListenAddress("udp", "127.0.0.1", 0),)),
            media=MediaSettings(port_low=media.start, port_high=media.stop - 1, bind_host="127.0.0.1", drain_s=0.0),
            calls=CallSettings(),
        )
        await edge.open()
        try:
            uri = f"sip:{ANSWERED}@127.0.0.1:{self._port}"
            call = await edge.switchboard.place(plan_call(uri, ids=edge.ua.ids, caller="reader"))
            await asyncio.wait_for(call.wait_answered(), PATIENCE_S)
            talk = Talk(call)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(talk.listen())
                yield talk
                await call.hangup()
                await listening
        finally:
            edge.switchboard.hang_up_all()
            await asyncio.sleep(0.05)
            await edge.close()

    def said(self, event: str) -> dict[str, Any]:
        """Wait for a line of the log."""
        found = self.program.wait_for(rf'^\{{.*"event": "{re.escape(event)}".*$')
        line: dict[str, Any] = json.loads(found[0])
        return line


def spoken(text: str) -> bytes:
    """What espeak-ng says, 8 kHz; without it the test is skipped, or fails where CI=true."""
    command = [require("espeak-ng", "espeak-ng"), "-v", "en-us", "-s", "140", "--stdout", text]
    sound = read_wav(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)
    return resample(sound.pcm, sound.sample_rate_hz, RATE_HZ)


def silence(seconds: float) -> bytes:
    """Nothing, for a while."""
    return bytes(int(seconds * RATE_HZ) * 2)


def understood(pcm: bytes, sentences: list[str]) -> str:
    """Which of some sentences is heard, "" for none."""
    if importlib.util.find_spec("pocketsphinx") is None:
        missing("pocketsphinx is not installed (make setup)")
    decoder = importlib.import_module("pocketsphinx").Decoder(samprate=16000, lm=None, loglevel="FATAL")
    decoder.add_jsgf_string("said", f"#JSGF V1.0; grammar said; public <said> = {' | '.join(sentences)};")
    decoder.activate_search("said")
    decoder.start_utt()
    decoder.process_raw(resample(silence(0.3) + pcm + silence(0.3), RATE_HZ, 16000), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found is not None else ""


class Nobody:
    """Takes no calls."""

    def start(self, call: InboundCall | OutboundCall, agent: str) -> None:
        """Refuse."""
        call.end("nobody is here", status=480)

    def knows(self, agent: str) -> bool:
        """Know nobody."""
        return False

    def ring_s(self, agent: str) -> float | None:
        """Have no wish."""
        return None


class Talk:
    """The caller's side of a call that is answered.

    Attributes:
        call: ours.
        heard: everything so far, 8 kHz.
    """

    def __init__(self, call: OutboundCall) -> None:
        self.call = call
        self.heard = b""

    async def listen(self) -> None:
        """Keep what is heard until the call is over."""
        if self.call.ending is None:
            async for frame in self.call.audio:
                self.heard += frame.pcm

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  (whatever it is)
                await asyncio.sleep(0.02)

    async def said(self, *, pause_s: float = 0.7) -> bytes:
        """Wait until the other side has said something and has been silent for a while, or has hung up; gives that."""
        began, pause = len(self.heard), int(pause_s * RATE_HZ) * 2
        await self.until(lambda: loud(self.heard[began:]))
        await self.until(
            lambda: self.call.ending is not None or not loud(self.heard[max(began, len(self.heard) - pause) :])
        )
        return self.heard[began:]


def loud(pcm: bytes) -> bool:
    """Whether there is more than noise in some tenth of a second."""
    piece = RATE_HZ // 5
    return any(level_dbfs(pcm[at : at + piece]) > -45.0 for at in range(0, len(pcm) - piece + 1, piece))
