"""How speech sounds after the whole path: SIPp says it, packet by packet, and an agent writes down what it hears."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random
from struct import pack

import numpy as np
import numpy.typing as npt

from sipflow.audio.codecs.g711 import ULAW_SILENCE, decode_ulaw, encode_ulaw
from sipflow.audio.resample import Resampler
from sipflow.audio.wav import read_wav
from sipflow.rtp.packet import header
from tests.bench.edge import NUMBER, Edge
from tests.bench.programs import DRIVING, MissingProgram, Program, find
from tests.bench.report import Line
from tests.interop.free_ports import free_sip_port

RATE_HZ = 8000
PACKET = 160
SENTENCES = (
    ("en-us", "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."),
    ("en-us+f3", "Rice is often served in round bowls. The juice of lemons makes fine punch."),
    ("en-gb", "Your appointment is on Tuesday at half past nine. Please press one to confirm it."),
)
_SCENARIO = Path(__file__).with_name("speaker.xml")
_LEAD = 25 * PACKET  # silence before, and after
_AFTERWARDS_S = 1.0
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to packets on their way.

    Attributes:
        loss: share of the packets that are lost, at random.
        jitter_s: each is held up for up to so long, at random, so that they overtake each other.
    """

    loss: float = 0.0
    jitter_s: float = 0.0


BAD = Network(loss=0.05, jitter_s=0.04)


def run(sentences: tuple[tuple[str, str], ...] = SENTENCES) -> Iterator[Line]:
    """Measure speech at no loss, and at 5 % of loss and 40 ms of jitter with concealment and without.

    Raises:
        MissingProgram: espeak-ng, SIPp or pesq is not installed, or SIPp may not play packets.
    """
    if find_spec("pesq") is None:
        raise MissingProgram("pesq (PyPI) is not installed")
    said = speech(sentences)
    clean = heard(said, Network(), "keep")
    exact = clean.find(decode_ulaw(said).strip(b"\0")) >= 0
    yield Line("no loss: what is heard is what was said, bit by bit", "yes" if exact else "no", "yes", exact)
    yield _at_least("no loss: PESQ, narrow band", score(said, clean), 4.3)
    yield _at_least("5 % of loss, 40 ms of jitter: PESQ", score(said, heard(said, BAD, "keep")), 2.9)
    yield Line("  the same with concealment switched off", f"{score(said, heard(said, BAD, 'keep_with_holes')):.2f}")


def _at_least(what: str, value: float, limit: float) -> Line:
    return Line(what, f"{value:.2f}", f"at least {limit:g}", value >= limit)


def speech(sentences: tuple[tuple[str, str], ...]) -> bytes:
    """Have espeak-ng say the sentences, as mu-law in whole packets, with silence around them."""
    program, pieces = find("espeak-ng"), []
    for voice, text in sentences:
        done = subprocess.run([program, "-v", voice, "-s", "150", "--stdout", text], capture_output=True, check=True)
        frame = read_wav(done.stdout)
        pieces.append(Resampler(frame.sample_rate_hz, RATE_HZ).process(frame.pcm, last=True))
    loud = _samples(b"".join(pieces))
    said = encode_ulaw((loud * (16000 / np.abs(loud).max())).astype("<i2").tobytes())
    silence = ULAW_SILENCE * _LEAD
    return silence + said + ULAW_SILENCE * (-len(said) % PACKET) + silence


def heard(said: bytes, network: Network, agent: str) -> bytes:
    """Call, say it through the network, and give the samples that the agent has heard."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "heard.pcm"
        (folder / "speech.pcap").write_bytes(capture(said, network))
        agents = {"bench": {"handler": f"tests.bench.listeners:{agent}", "file": str(file)}}
        with Edge(folder, agents=agents) as edge:
            _call(folder, edge.port, duration_s=len(said) / RATE_HZ + _AFTERWARDS_S)
            edge.wait_until(lambda figures: not figures["calls"], timeout_s=5.0)
        return file.read_bytes()


def _call(folder: Path, port: int, *, duration_s: float) -> None:
    if os.geteuid():
        raise MissingProgram("SIPp plays prepared packets as root only")
    command = [find("sipp"), "-sf", str(_SCENARIO), f"127.0.0.1:{port}", "-s", NUMBER, "-i", "127.0.0.1"]
    command += ["-p", str(free_sip_port()), "-m", "1", "-d", str(int(1000 * duration_s)), "-nostdin"]
    with Program("sipp", command, folder, core=DRIVING, cwd=folder) as sipp:
        try:
            status = sipp.wait(duration_s + _GRACE_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"SIPp did not end:\n{sipp.tail()}") from None
    if status:
        raise RuntimeError(f"SIPp could not call:\n{sipp.tail()}")


def capture(said: bytes, network: Network, *, seed: int = 1) -> bytes:
    """Write the packets as they arrive, in the form of libpcap: Ethernet, IPv4, UDP, RTP."""
    random = Random(seed)
    arrivals: list[tuple[float, bytes]] = []
    for number, at in enumerate(range(0, len(said), PACKET)):
        delay_s = random.uniform(0.0, network.jitter_s)
        if random.random() >= network.loss:
            arrivals.append((number * PACKET / RATE_HZ + delay_s, _datagram(number, said[at : at + PACKET])))
    out = [pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for time_s, frame in sorted(arrivals):
        out.append(pack("<IIII", int(time_s), int(time_s % 1 * 1e6), len(frame), len(frame)) + frame)
    return b"".join(out)


def _datagram(number: int, payload: bytes) -> bytes:
    rtp = header(0, 1000 + number, number * PACKET, 0x5EED, marker=number == 0) + payload
    udp = pack("!HHHH", 6000, 6000, 8 + len(rtp), 0) + rtp
    loopback = bytes((127, 0, 0, 1))
    ipv4 = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, loopback, loopback)
    return bytes(12) + b"\x08\x00" + ipv4 + udp


def score(said: bytes, pcm: bytes) -> float:
    """Compare what was heard with what was said: PESQ (ITU-T P.862), narrow band, 1.0 to 4.55."""
    from pesq import pesq  # not a dependency: the bench installs it

    return float(pesq(RATE_HZ, _samples(decode_ulaw(said)), _samples(pcm), "nb"))


def _samples(pcm: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32)
