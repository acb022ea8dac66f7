"""Prints the figures: `make bench`, or `make bench ARGS="signalling media"` for some of them."""

import os
import resource
import sys
from collections.abc import Callable, Iterator

from tests.bench import (
    answering,
    api,
    bridge,
    media,
    memory,
    opus,
    orders,
    pools,
    quality,
    signalling,
    startup,
    store,
    storm,
    stream,
    trunks,
)
from tests.bench.programs import DRIVING, MEASURED, MissingProgram
from tests.bench.report import Line, show

FIGURES: dict[str, tuple[str, Callable[[], Iterator[Line]]]] = {
    "startup": ("Start", startup.run),
    "signalling": ("Signalling: calls that ring, are answered and end", signalling.run),
    "media": ("Media: echo calls of G.711, 20 ms, each time for 20 s", media.run),
    "quality": ("Quality: speech through the whole path", quality.run),
    "answering": ("Who answered: a person, a voicemail box or a phone menu", answering.run),
    "opus": ("Opus at 16 kHz: 50 echo calls, 20 ms, for 20 s", opus.run),
    "stream": ("WebSocket: 500 calls to a bot in Twilio's dialect, for 20 s", stream.run),
    "pools": ("Pools: 10,000 numbers to choose from", pools.run),
    "trunks": ("Trunks: 1,000 that register", trunks.run),
    "api": ("API: reads and writes over HTTP, for 10 s on each database", api.run),
    "orders": ("Orders: calls asked for over HTTP, 200 a second", orders.run),
    "bridge": ("Bridge: two legs joined, signalling and 500 relayed calls", bridge.run),
    "store": ("Store: what records cost", store.run),
    "storm": ("Storm: 50 calls/s for 5 minutes, transferred, held and cancelled", storm.run),
    "memory": ("Memory: 20,000 calls in one process", memory.run),
}
LONG = frozenset({"storm"})  # five minutes: only if it is asked for, or by `make load`


def main(wanted: list[str]) -> int:
    """Print the figures that are asked for, all without a word; gives the exit status."""
    unknown = [name for name in wanted if name not in FIGURES]
    if unknown:
        print(f"no figure is called {', '.join(unknown)}: there are {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    raise_file_limit()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before we began;")
    print(f"what is measured runs on core {MEASURED}, what drives it on core {DRIVING}. CPU is user and system time.\n")
    for name in wanted or (name for name in FIGURES if name not in LONG):
        title, run = FIGURES[name]
        try:
            show(title, run())
        except MissingProgram as error:
            print(f"  left out: {error}\n")
    return 0


def raise_file_limit() -> None:
    """500 calls take 1,000 files; those whom we start inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
