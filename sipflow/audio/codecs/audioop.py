"""The functions in C that turn samples about: Python's own up to 3.12, from 3.13 on the package `audioop-lts`."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # which names the package that is installed where it is gone
    from audioop import alaw2lin, byteswap, rms, ulaw2lin
    from audioop import error as AudioopError  # noqa: N812  (a module's error has its module's name outside of it)

__all__ = ["AudioopError", "alaw2lin", "byteswap", "rms", "ulaw2lin"]
