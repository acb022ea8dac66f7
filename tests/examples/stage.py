"""The examples of docs/examples as their reader runs them, on free ports; and a caller who speaks with espeak-ng."""

import importlib
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sipflow.audio.frame import Frame
from sipflow.audio.resample import resample
from sipflow.audio.wav import read_wav, wav_header
from tests.interop.daemon import ANSWERED, SIPFLOW, CallReport, call
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import ROOT, Program, missing, require

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

    def call(self, *options: str) -> tuple[CallReport, bytes]:
        """Place a call; gives the report and what the caller heard, 8 kHz."""
        heard = self.folder / "heard.wav"
        uri = f"sip:{ANSWERED}@127.0.0.1:{self._port}"
        report = call(self.folder, uri, "--record", str(heard), *options)
        return report, read_wav(heard.read_bytes()).pcm

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


def wav(folder: Path, pcm: bytes) -> str:
    """A file for `sipflow call --play`."""
    file = folder / "says.wav"
    file.write_bytes(wav_header(len(pcm)) + pcm)
    return str(file)


def understood(pcm: bytes, sentences: list[str]) -> str:
    """Which of some sentences is heard, "" for none."""
    if importlib.util.find_spec("pocketsphinx") is None:
        missing("pocketsphinx is not installed (make setup)")
    decoder = importlib.import_module("pocketsphinx").Decoder(samprate=16000, lm=None, loglevel="FATAL")
    decoder.add_jsgf_string("said", f"#JSGF V1.0; grammar said; public <said> = {' | '.join(sentences)};")
    decoder.activate_search("said")
    decoder.start_utt()
    decoder.process_raw(resample(pcm, RATE_HZ, 16000), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found is not None else ""


def seconds(pcm: bytes | Frame) -> float:
    """How long it lasts."""
    return len(pcm.pcm if isinstance(pcm, Frame) else pcm) / 2 / RATE_HZ
