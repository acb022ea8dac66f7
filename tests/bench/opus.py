"""Opus at 16 kHz: echo calls at once on one core, what a call-frame costs, where it goes, how many calls that makes."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from sipflow.audio.codecs import libopus
from sipflow.audio.codecs.opus import OPUS_CODEC, OpusDecoder
from sipflow.audio.resample import Resampler
from sipflow.audio.wav import read_wav
from tests.bench.edge import Edge
from tests.bench.programs import DRIVING, MissingProgram, Program, find
from tests.bench.quality import SENTENCES
from tests.bench.report import Line, exactly
from tests.bench.talk import talk
from tests.bench.talkers import write_packets

RATE_HZ, AGENT_HZ = 16000, 24000
_FRAME_US = 20_000
_FRAME_BYTES = 2 * RATE_HZ // 50
_FMTP = "useinbandfec=1"
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """How many callers talk for how long.

    Attributes:
        calls: at once.
        seconds: of talk.
        turns: how often the parts are measured; the cheapest counts, for whatever else runs makes them dearer.
    """

    calls: int = 50
    seconds: float = 20.0
    turns: int = 5


def run(load: Load | None = None) -> Iterator[Line]:
    """Have speech in Opus echoed by an agent of 16 kHz, and by one of another rate.

    Raises:
        MissingProgram: there is no libopus, or no espeak-ng.
    """
    load = load or Load()
    if libopus.load() is None:
        raise MissingProgram(OPUS_CODEC.missing())
    pcm = speech()
    packets = encoded(pcm)
    at_16_us = yield from _echo(load, packets, "echo_at_16_khz", "16 kHz, as Opus gives it")
    parts = _parts(pcm, packets, load.turns)
    for what in ("decoding", "encoding"):
        yield Line(f"    of that {what}", f"{parts[what]:.1f} us")
    yield Line("    of that everything else", f"{at_16_us - parts['decoding'] - parts['encoding']:.1f} us")
    yield from _echo(load, packets, "echo_at_24_khz", "24 kHz, resampled")
    yield Line("    of that resampling to 24 kHz and back", f"{parts['resampling']:.1f} us")


def _echo(load: Load, packets: list[bytes], agent: str, title: str) -> Generator[Line, None, float]:
    """Measure so many calls at once; gives the microseconds per call and frame."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_packets(folder / "speech", packets)
        trunks = {"local": {"accept_from": ["127.0.0.0/8"], "codecs": ["opus"]}}
        with Edge(folder, handler=f"tests.bench.agents:{agent}", trunks=trunks) as edge:
            command = [sys.executable, "-m", "tests.bench.talkers", str(edge.port), "", str(folder / "speech")]
            with Program("talkers", command, folder, core=DRIVING, talks=True) as talkers:
                up = _ask(talkers, f"call {load.calls}")["up"]
                yield exactly(f"{load.calls} calls, agent at {title}: up", up, load.calls)
                _ask(talkers, f"talk {_SETTLE_S}")
                went = talk(edge, talkers, load.seconds)
                _ask(talkers, "hangup")
    heard, per_frame_us = went.heard, went.per_frame_us
    yield Line("  packets that came back", f"{100 * heard['received'] / heard['sent']:.2f} %")
    yield exactly("  packets never sent", went.pace["skipped"], 0)
    yield Line("  share of one core", f"{went.share:.0f} %")
    yield Line("  calls that fill one core", f"{_FRAME_US / per_frame_us if per_frame_us else 0:.0f}")
    yield Line("  CPU per call and frame, one in and one out", f"{per_frame_us:.1f} us")
    return per_frame_us


def speech() -> bytes:
    """Have espeak-ng say sentences: 16 kHz, whole packet times.

    Raises:
        MissingProgram: espeak-ng is not installed.
    """
    program, pcm = find("espeak-ng"), b""
    for voice, text in SENTENCES:
        done = subprocess.run([program, "-v", voice, "-s", "150", "--stdout", text], capture_output=True, check=True)
        sound = read_wav(done.stdout)
        pcm += Resampler(sound.sample_rate_hz, RATE_HZ).process(sound.pcm, last=True)
    return pcm[: len(pcm) // _FRAME_BYTES * _FRAME_BYTES]


def encoded(pcm: bytes) -> list[bytes]:
    """Encode it as a telephone would that repairs losses."""
    encode = OPUS_CODEC.at(RATE_HZ).new_encoder(_FMTP).encode
    return [encode(each) for each in _cut(pcm)]


def _parts(pcm: bytes, packets: list[bytes], turns: int) -> dict[str, float]:
    """Say what decoding, encoding and resampling of the same speech cost by themselves, in microseconds per frame."""
    frames = _cut(pcm)
    up = _cut(Resampler(RATE_HZ, AGENT_HZ).process(pcm, last=True), 2 * AGENT_HZ // 50)

    def decoding() -> None:
        decode = OpusDecoder(RATE_HZ).decode
        for packet in packets:
            decode(packet)

    def encoding() -> None:
        encode = OPUS_CODEC.at(RATE_HZ).new_encoder(_FMTP).encode
        for frame in frames:
            encode(frame)

    def resampling() -> None:
        there, back = Resampler(RATE_HZ, AGENT_HZ), Resampler(AGENT_HZ, RATE_HZ)
        for frame in frames:
            there.process(frame)
        for frame in up:
            back.process(frame)

    works: tuple[Callable[[], None], ...] = (decoding, encoding, resampling)
    return {work.__name__: min(_cost_us(work, len(frames)) for _ in range(turns)) for work in works}


def _cost_us(work: Callable[[], None], frames: int) -> float:
    began = time.thread_time()
    work()
    return 1e6 * (time.thread_time() - began) / frames


def _cut(pcm: bytes, size: int = _FRAME_BYTES) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


def _ask(talkers: Program, what: str) -> dict[str, float]:
    answer: dict[str, float] = json.loads(talkers.ask(what))
    return answer
