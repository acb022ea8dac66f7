"""What an edge does while all its calls talk: how punctual it was, and what it cost."""

import json
import time
from dataclasses import dataclass

from tests.bench.edge import Edge, Figures
from tests.bench.programs import Program

_ASIDE_S = 1.0


@dataclass(frozen=True, slots=True)
class Talk:
    """What came of it.

    Attributes:
        heard: what the callers say, of all of it.
        pace: of `took_s` in its middle: `ticks`, `within_5_ms`, `late_999_ms`, `late_worst_ms`, `skipped`.
        cpu_s: CPU time of the edge in that time.
        took_s: how long it was.
    """

    heard: dict[str, float]
    pace: Figures
    cpu_s: float
    took_s: float

    @property
    def per_frame_us(self) -> float:
        """CPU time per call and packet time, in microseconds."""
        return 1e6 * self.cpu_s / self.pace["ticks"] if self.pace["ticks"] else 0.0

    @property
    def share(self) -> float:
        """How much of one core the edge took, in percent."""
        return 100 * self.cpu_s / self.took_s


def talk(edge: Edge, talkers: Program, seconds: float) -> Talk:
    """Have all calls talk, and measure for so long in the middle.

    All callers begin in the same 20 ms, and fall silent in the same, as those of no telephone network do; and to ask
    for the statistics of all calls holds the edge up. Neither is measured.
    """
    aside_s = min(_ASIDE_S, seconds / 4)
    talkers.say(f"talk {seconds + 2 * aside_s}")
    time.sleep(aside_s)
    edge.figures("reset")
    cpu_s, begun = edge.program.cpu_s, time.monotonic()
    time.sleep(seconds)
    cpu_s, took_s = edge.program.cpu_s - cpu_s, time.monotonic() - begun
    pace = edge.figures("pace")
    return Talk(json.loads(talkers.read()), pace, cpu_s, took_s)
