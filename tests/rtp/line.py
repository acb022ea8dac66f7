"""A sender, a network and a clock that takes, all in simulated time, around a jitter buffer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from sipflow.rtp.jitter import JitterBuffer, Missing

RATE_HZ = 8000
TICKS = 160


class Sent(NamedTuple):
    """One packet on its way; `at` is when it leaves, in seconds."""

    at: float
    sequence: int
    timestamp: int
    payload: bytes


def payload(number: int, size: int = TICKS) -> bytes:
    """A payload that says which it is."""
    return number.to_bytes(4, "big") + bytes(size - 4)


def number(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "big")


def stream(
    packets: int,
    *,
    ticks: int = TICKS,
    ppm: float = 0.0,
    first_sequence: int = 65500,
    first_timestamp: int = 0xFFFFF000,
    talks: Callable[[int], bool] = lambda _: True,
) -> list[Sent]:
    """An even stream; `talks` says in which packet times something is sent, `ppm` by how much its clock is slow."""
    out: list[Sent] = []
    for time in range(packets):
        if talks(time):
            at = time * ticks / RATE_HZ * (1 + ppm * 1e-6)
            stamp = (first_timestamp + time * ticks) & 0xFFFFFFFF
            out.append(Sent(at, (first_sequence + len(out)) & 0xFFFF, stamp, payload(len(out))))
    return out


@dataclass
class Heard:
    """What came out: every take's answer, with its time and the depth then."""

    buffer: JitterBuffer
    answers: list[tuple[float, bytes | Missing]] = field(default_factory=list)
    depths_ms: list[float] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        return [number(answer) for _, answer in self.answers if isinstance(answer, bytes)]

    def count(self, missing: Missing) -> int:
        return sum(answer is missing for _, answer in self.answers)

    def runs(self, missing: Missing) -> list[int]:
        """The lengths of the runs of such answers."""
        out, run = [], 0
        for _, answer in self.answers:
            if answer is missing:
                run += 1
            elif run:
                out.append(run)
                run = 0
        return out

    @property
    def counters(self) -> dict[str, int]:
        names = ("late", "duplicates", "lost", "inserted", "skipped")
        return {name: getattr(self.buffer, name) for name in names if getattr(self.buffer, name)}


def play(
    sent: Iterable[Sent],
    *,
    delay_s: Callable[[Sent], float | None] = lambda _: 0.0,
    phase_s: float = 0.007,
    late_s: Callable[[], float] = lambda: 0.0,
    takes: int | None = None,
    period_s: float = TICKS / RATE_HZ,
    buffer: JitterBuffer | None = None,
) -> Heard:
    """Carry packets to a buffer, each `delay_s` after it was sent (None: never), and take from it at an even pace.

    `late_s` is how late each take is; `phase_s` is when the first is due; `takes` defaults to the packets sent.
    """
    sent = list(sent)
    buffer = buffer if buffer is not None else JitterBuffer(clock_rate_hz=RATE_HZ, frame_ticks=TICKS)
    heard = Heard(buffer)
    events: list[tuple[float, int, Sent | None]] = []
    for order, packet in enumerate(sent):
        delay = delay_s(packet)
        if delay is not None:
            events.append((packet.at + delay, order, packet))
    count = takes if takes is not None else round(sent[-1].at / period_s) + 1
    events += [(phase_s + n * period_s + late_s(), len(sent), None) for n in range(count)]
    for at, _, event in sorted(events, key=lambda event: event[:2]):
        if event is None:
            heard.answers.append((at, buffer.take(1000.0 + at)))
            heard.depths_ms.append(buffer.depth_ms)
        else:
            buffer.put(event.sequence, event.timestamp, event.payload, 1000.0 + at)
    return heard


def uniform(longest_s: float, *, loss: float = 0.0, seed: int = 1) -> Callable[[Sent], float | None]:
    """A network that adds any delay up to `longest_s`, so that packets overtake each other, and loses some."""
    random = Random(seed)

    def delay_s(_: Sent) -> float | None:
        return None if random.random() < loss else random.uniform(0.0, longest_s)

    return delay_s
