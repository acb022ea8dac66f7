"""What large blocks leave behind."""

import subprocess
import sys

# Blocks as large as a TLS connection's are taken, filled and given back twice, each followed by a small one that stays.
_PROGRAM = """
import ctypes, re, sys
from sipflow.daemon.memory import return_large_blocks

def resident_kib():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmRSS:\\s+(\\d+)", status.read())[1])

if sys.argv[1] == "with":
    return_large_blocks()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
before = resident_kib()
for _ in range(2):
    blocks = []
    for _ in range(100):
        blocks.append(libc.malloc(262144))
        ctypes.memset(blocks[-1], 1, 262144)
        libc.malloc(4096)
    for block in blocks:
        libc.free(ctypes.c_void_p(block))
print(resident_kib() - before)
"""


def left_kib(how: str) -> int:
    """How much memory is still there after all blocks, 25 MiB at a time, were given back."""
    played = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    return int(played.stdout)


def test_the_memory_of_large_blocks_is_given_back() -> None:
    assert left_kib("with") < 5_000
    assert left_kib("without") > 20_000  # else there is nothing to mend any more
