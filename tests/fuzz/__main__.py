"""Looks for inputs that break a reader: `make fuzz`, or `make fuzz ARGS="uri sdp" SECONDS=60` for some of them.

Each target has a process of its own, for SECONDS. What it learned stays in build/fuzz for the next time; an input that
breaks something is kept there too, and `--replay FILE` runs it alone, without the fuzzer.
"""

import argparse
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / "build" / "fuzz"
_WHOLE_S = 600  # for all targets, unless it is said otherwise
_HANG_S = 20  # for one input, on a machine that has other things to do
_MOST_MIB = 2048
_FINDS = ("crash-*", "timeout-*", "oom-*", "leak-*")


def main(arguments: list[str]) -> int:
    """Fuzz what is asked for, all without a word; gives the exit status: 1 where something was found."""
    given = _read(arguments)
    if given.child:
        return _fuzz(given.child, given.seconds)
    if given.replay:
        return replay(given.replay)
    from tests.fuzz.targets import TARGETS

    unknown = [name for name in given.which if name not in TARGETS]
    if unknown:
        print(f"nothing is called {', '.join(unknown)}: there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if find_spec("atheris") is None:
        print("atheris is not installed: .venv/bin/pip install -e '.[fuzz]'", file=sys.stderr)
        return 69
    which = given.which or list(TARGETS)
    seconds = given.seconds or max(_WHOLE_S // len(which), 1)
    print(f"{len(which)} targets for {seconds} s each; finds go to {FOUND.relative_to(ROOT)}", flush=True)
    return max([_run(name, seconds) for name in which])


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("which", nargs="*", help="targets; all without one")
    parser.add_argument("--seconds", type=int, default=0, help=f"for each; without it {_WHOLE_S} s for all together")
    parser.add_argument("--replay", type=Path, help="run this file alone; the folder it is in names the target")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _run(name: str, seconds: int) -> int:
    """Fuzz one target in a process of its own, and say what came of it."""
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    before = set(finds(folder))
    log = FOUND / f"{name}.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "tests.fuzz", "--child", name, "--seconds", str(seconds)]
        status = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT).returncode
    text = log.read_text(encoding="utf-8", errors="replace")
    new = [file for file in finds(folder) if file not in before]
    done = [line for line in text.splitlines() if line.startswith("Done ")]
    print(f"  {name:<14} {done[-1] if done else f'ended with status {status}'}", flush=True)
    for file in new:
        print(f"    FOUND: {sys.executable} -m tests.fuzz --replay {file.relative_to(ROOT)}", flush=True)
    if status and not new:
        print(text[-1500:], flush=True)
    return 1 if status or new else 0


def finds(folder: Path) -> list[Path]:
    """The inputs that broke something, so far."""
    return sorted(file for pattern in _FINDS for file in folder.glob(pattern))


def replay(file: Path) -> int:
    """Run one input; what it breaks is raised. The folder it is in names the target."""
    from tests.fuzz.targets import TARGETS

    warnings.simplefilter("error")
    target = TARGETS.get(file.resolve().parent.name)
    if target is None:
        print(f"{file.resolve().parent.name} is no target: there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    print("accepted" if target.check(file.read_bytes()) else "refused")
    return 0


def _fuzz(name: str, seconds: int) -> int:
    """Be the process of one target; atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["sipflow"]):
        from tests.fuzz.targets import TARGETS, seeds

    warnings.simplefilter("error")  # as the tests have it
    target, folder = TARGETS[name], FOUND / name
    learned, begun = folder / "corpus", folder / "seeds"
    for each in (learned, begun):
        each.mkdir(parents=True, exist_ok=True)
    for seed in seeds(name):
        (begun / seed.name).write_bytes(seed.read_bytes())
    words = folder / "words.txt"
    words.write_text("".join(f"{_quoted(word)}\n" for word in target.words or ("0",)), encoding="ascii")
    options = [
        f"-max_total_time={seconds}", f"-timeout={_HANG_S}", f"-rss_limit_mb={_MOST_MIB}", f"-dict={words}",
        f"-max_len={target.longest_bytes}", f"-artifact_prefix={folder}{os.sep}", "-print_final_stats=1",
        str(learned), str(begun),
    ]  # fmt: skip
    atheris.Setup([name, *options], target.check)
    atheris.Fuzz()
    return 0


def _quoted(word: str) -> str:
    """A word as libFuzzer's dictionaries have it."""
    plain = "".join(c if c.isalnum() or c in " .:;=/-_<>[]{}()+*$&!,%@'" else f"\\x{ord(c):02x}" for c in word)
    return f'"{plain}"'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
