"""libopus, found where it is and called by its own names (RFC 6716); nothing here knows what a call is.

PyAV's wheels bring a libopus of their own, which is taken without loading the rest of FFmpeg; else the system's is.
Calling it through FFmpeg instead would cost 30 to 90 us more for each frame, and FFmpeg hides what repairs losses.
"""

from collections.abc import Iterable
from ctypes import Array, PyDLL, addressof, c_char, c_char_p, c_int, c_int32, c_void_p, string_at
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sipflow.errors import MediaError

SAMPLE_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
LONGEST_MS = 120  # of a packet (RFC 6716 §3.2.5)

# opus_defines.h: these numbers are part of the library's binary interface.
SET_BITRATE = 4002
SET_MAX_BANDWIDTH = 4004
SET_VBR = 4006
SET_COMPLEXITY = 4010
SET_INBAND_FEC = 4012
SET_PACKET_LOSS_PERC = 4014
SET_DTX = 4016
SET_SIGNAL = 4024
SIGNAL_VOICE = 3001
BANDWIDTHS = {8000: 1101, 12000: 1102, 16000: 1103, 24000: 1104, 48000: 1105}

_APPLICATION_VOIP = 2048
_SAMPLE_BYTES = 2
_LARGEST_BYTES = 1275  # of a frame (RFC 6716 §3.2.1); fits a datagram

_BUNDLED = ("../av.libs/libopus*.so*", ".dylibs/libopus*.dylib", "../av.libs/*opus*.dll")  # Linux, macOS, Windows
_SYSTEM = ("libopus.so.0", "libopus.0.dylib", "opus.dll")


class LibOpus:
    """The functions that are used, with the types of their arguments.

    They keep Python's lock while they run: given up for 0.1 ms, it comes back only when another thread is done with
    it, which may take 5 ms.

    Attributes:
        version: as the library gives it.
        library: all of it.
    """

    def __init__(self, library: PyDLL) -> None:
        """Take the functions; AttributeError if it is another library."""
        self.library = library
        library.opus_get_version_string.restype = c_char_p
        self.version: str = library.opus_get_version_string().decode()
        self.strerror = library.opus_strerror
        self.strerror.argtypes, self.strerror.restype = [c_int], c_char_p
        self.encoder_get_size = library.opus_encoder_get_size
        self.encoder_init = library.opus_encoder_init
        self.encoder_init.argtypes = [c_void_p, c_int32, c_int, c_int]
        self.encoder_ctl = library.opus_encoder_ctl
        self.encoder_ctl.argtypes = [c_void_p, c_int]  # and one more, whose type follows from what is set
        self.encode = library.opus_encode
        self.encode.argtypes = [c_void_p, c_char_p, c_int, c_void_p, c_int32]
        self.decoder_get_size = library.opus_decoder_get_size
        self.decoder_init = library.opus_decoder_init
        self.decoder_init.argtypes = [c_void_p, c_int32, c_int]
        self.decode = library.opus_decode
        self.decode.argtypes = [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]

    def why(self, code: int) -> str:
        """Say what a negative result means."""
        return str(self.strerror(code).decode())


@cache
def load() -> LibOpus | None:
    """Find libopus: the one that PyAV brings, else the system's; None without either."""
    return first_of([*_bundled(), *_SYSTEM])


def first_of(names: Iterable[str]) -> LibOpus | None:
    """Load the first library that is there and is libopus."""
    for name in names:
        try:
            return LibOpus(PyDLL(name))
        except (OSError, AttributeError):
            continue
    return None


def loaded() -> LibOpus:
    """Give libopus.

    Raises:
        MediaError: there is none.
    """
    library = load()
    if library is None:
        raise MediaError("there is no libopus: pip install av, or install the system's package (libopus0)")
    return library


def _bundled() -> list[str]:
    spec = find_spec("av")
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return [str(path) for folder in folders for pattern in _BUNDLED for path in sorted(folder.glob(pattern))]


class EncoderState:
    """One encoder of mono sound, in memory that Python looks after."""

    __slots__ = ("_at", "_encode", "_library", "_packet", "_packet_at", "_state")

    def __init__(self, sample_rate_hz: int) -> None:
        """Start one for speech.

        Raises:
            MediaError: there is no libopus, or it does not know the rate.
        """
        self._library = loaded()
        self._state = (c_char * self._library.encoder_get_size(1))()
        self._at = addressof(self._state)
        failed = self._library.encoder_init(self._at, sample_rate_hz, 1, _APPLICATION_VOIP)
        if failed:
            raise MediaError(f"no Opus encoder for {sample_rate_hz} Hz: {self._library.why(failed)}")
        self._packet = (c_char * _LARGEST_BYTES)()
        self._packet_at = addressof(self._packet)
        self._encode = self._library.encode

    def set(self, request: int, value: int) -> None:
        """Change a setting.

        Raises:
            MediaError: libopus refuses it.
        """
        failed = self._library.encoder_ctl(self._at, request, c_int32(value))
        if failed:
            raise MediaError(f"Opus setting {request} cannot be {value}: {self._library.why(failed)}")

    def encode(self, pcm: bytes, samples: int) -> bytes:
        """Give the packet of `samples` samples.

        Raises:
            MediaError: `pcm` has another length, or Opus has no frames of it.
        """
        if len(pcm) != samples * _SAMPLE_BYTES:
            raise MediaError(f"{len(pcm)} bytes are not the {samples} samples of an Opus packet")
        size = self._encode(self._at, pcm, samples, self._packet_at, _LARGEST_BYTES)
        if size < 0:
            raise MediaError(f"Opus cannot encode {samples} samples: {self._library.why(size)}")
        return string_at(self._packet_at, size)


class DecoderState:
    """One decoder to mono sound, in memory that Python looks after."""

    __slots__ = ("_at", "_decode", "_library", "_room", "_sound", "_sound_at", "_state")

    def __init__(self, sample_rate_hz: int) -> None:
        """Start one.

        Raises:
            MediaError: there is no libopus, or it does not know the rate.
        """
        self._library = loaded()
        self._state: Array[c_char] = (c_char * self._library.decoder_get_size(1))()
        self._at = addressof(self._state)
        failed = self._library.decoder_init(self._at, sample_rate_hz, 1)
        if failed:
            raise MediaError(f"no Opus decoder for {sample_rate_hz} Hz: {self._library.why(failed)}")
        self._room = sample_rate_hz * LONGEST_MS // 1000  # samples of the longest packet
        self._sound = (c_char * (self._room * _SAMPLE_BYTES))()
        self._sound_at = addressof(self._sound)
        self._decode = self._library.decode

    def decode(self, packet: bytes) -> bytes:
        """Give the samples of a packet.

        Raises:
            MediaError: it is no Opus packet.
        """
        if not packet:
            raise MediaError("an Opus packet has at least one octet")
        samples = self._decode(self._at, packet, len(packet), self._sound_at, self._room, 0)
        if samples < 0:
            raise MediaError(f"not an Opus packet: {self._library.why(samples)}")
        return string_at(self._sound_at, samples * _SAMPLE_BYTES)

    def make_up(self, samples: int, following: bytes | None = None) -> bytes:
        """Give what a lost packet may have held: what `following` repeats of it, if it does, or a guess.

        Args:
            samples: at most 120 ms, in steps of 2.5 ms.
            following: the packet after the lost one.

        Raises:
            MediaError: another number of samples, or `following` is no Opus packet.
        """
        if not 0 < samples <= self._room:
            raise MediaError(f"{samples} samples are no Opus packet")
        if following:
            found = self._decode(self._at, following, len(following), self._sound_at, samples, 1)
        else:
            found = self._decode(self._at, None, 0, self._sound_at, samples, 0)
        if found < 0:
            raise MediaError(f"Opus cannot make up {samples} samples: {self._library.why(found)}")
        return string_at(self._sound_at, found * _SAMPLE_BYTES)
