"""Prints the figures: `make bench`, or `make bench ARGS="signalling media"` for some of them."""

import os
import resource
import sys
from collections.abc import Callable, Iterator

from tests.bench import media, memory, quality, signalling, startup, stream, trunks
from tests.bench.programs import DRIVING, MEASURED, MissingProgram
from tests.bench.report import Line, show

FIGURES: dict[str, tuple[str, Callable[[], Iterator[Line]]]] = {
    "startup": ("Start", startup.run),
    "signalling": ("Signalling: calls that ring, are answered and end", signalling.run),
    "media": ("Media: echo calls of G.711, 20 ms, each time for 20 s", media.run),
    "quality": ("Quality: speech through the whole path", quality.run),
    "stream": ("WebSocket: 500 calls to a bot in Twilio's dialect, for 20 s", stream.run),
    "trunks": ("Trunks: 1,000 that register", trunks.run),
    "memory": ("Memory: 20,000 calls in one process", memory.run),
}


def main(wanted: list[str]) -> int:
    """Print the figures that are asked for, all without a word; gives the exit status."""
    unknown = [name for name in wanted if name not in FIGURES]
    if unknown:
        print(f"no figure is called {', '.join(unknown)}: there are {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    _raise_file_limit()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before we began;")
    print(f"what is measured runs on core {MEASURED}, what drives it on core {DRIVING}. CPU is user and system time.\n")
    for name in wanted or FIGURES:
        title, run = FIGURES[name]
        try:
            show(title, run())
        except MissingProgram as error:
            print(f"  left out: {error}\n")
    return 0


def _raise_file_limit() -> None:
    """500 calls take 1,000 files; those whom we start inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
