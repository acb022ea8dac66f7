"""WAV files: read in the forms people have, written so that a file cut off in the middle still plays."""

from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from sipflow.audio.codecs.g711 import decode_alaw, decode_ulaw
from sipflow.audio.frame import SAMPLE_BYTES, Frame
from sipflow.audio.resample import MAX_RATE_HZ
from sipflow.audio.tones import to_pcm
from sipflow.errors import MediaError

HEADER_BYTES = 44

_FORMAT = Struct("<HHIIHH")  # tag, channels, rate, bytes a second, bytes a frame, bits a sample
_HEADER = Struct("<4sI4s4sIHHIIHH4sI")
_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_TAGS = {2: "ADPCM", 0x11: "IMA ADPCM", 0x31: "GSM 6.10", 0x55: "MP3", 0x64: "G.726", 0x161: "WMA"}
_OTHERS = ((b"ID3", "an MP3"), (b"\xff\xfb", "an MP3"), (b"OggS", "an Ogg"), (b"fLaC", "a FLAC"), (b"RF64", "an RF64"))
_MAX_CHANNELS = 8
_MAX_DATA_BYTES = 0xFFFFFFFF - HEADER_BYTES  # sizes have 32 bits


@dataclass(frozen=True, slots=True)
class _Form:
    tag: int
    channels: int
    rate_hz: int
    bits: int


def read_wav(data: bytes) -> Frame:
    """Read a whole WAV file into one channel of 16-bit samples, at the file's own rate.

    PCM of 8, 16, 24 and 32 bits, float of 32 and 64 bits, mu-law and A-law are read; up to 8 channels are averaged.
    A file that is shorter than it says is read as far as it goes.

    Raises:
        MediaError: not a WAV file, or a form that is not read; the message says what it is.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        for start, what in _OTHERS:
            if data.startswith(start):
                raise MediaError(f"not a WAV file but {what} file: convert it to WAV, 16 bit, mono")
        raise MediaError(f"not a WAV file: it begins with {data[:12]!r}")
    form = None
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if name == b"fmt ":
            form = _form(data[at : at + size])
        elif name == b"data":
            if form is None:
                raise MediaError("the WAV file has no format before its data")
            return Frame(_mono(data[at : at + size], form), form.rate_hz)
        at += size + (size & 1)  # chunks begin at even places
    raise MediaError("the WAV file has no data")


def _form(chunk: bytes) -> _Form:
    if len(chunk) < _FORMAT.size:
        raise MediaError("the WAV file's format is cut off")
    tag, channels, rate, _, _, bits = _FORMAT.unpack_from(chunk)
    if tag == _EXTENSIBLE:
        if len(chunk) < 26:
            raise MediaError("the WAV file's extended format is cut off")
        tag = int.from_bytes(chunk[24:26], "little")
    form = _Form(tag, channels, rate, bits)
    if not 0 < channels <= _MAX_CHANNELS:
        raise MediaError(f"the WAV file has {channels} channels, not 1 to {_MAX_CHANNELS}")
    if not 0 < rate <= MAX_RATE_HZ:
        raise MediaError(f"the WAV file has a rate of {rate} Hz, not 1 to {MAX_RATE_HZ}")
    allowed = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _ALAW: (8,), _ULAW: (8,)}.get(tag)
    if allowed is None:
        raise MediaError(f"the WAV file is {_TAGS.get(tag, f'of form {tag:#06x}')}: convert it to PCM, 16 bit")
    if bits not in allowed:
        raise MediaError(f"the WAV file has {bits} bits a sample, not {' or '.join(map(str, allowed))}")
    return form


def _mono(data: bytes, form: _Form) -> bytes:
    frame_bytes = form.channels * form.bits // 8
    data = data[: len(data) // frame_bytes * frame_bytes]
    if form.tag in (_ALAW, _ULAW):
        pcm = decode_alaw(data) if form.tag == _ALAW else decode_ulaw(data)
    elif form.tag == _PCM and form.bits == 16:
        pcm = data
    else:
        return to_pcm(_averaged(_wide(data, form), form.channels))
    if form.channels == 1:
        return pcm
    return to_pcm(_averaged(np.frombuffer(pcm, "<i2").astype(np.float64), form.channels))


def _wide(data: bytes, form: _Form) -> npt.NDArray[np.float64]:
    """Give samples on the 16-bit scale, in floating point."""
    if form.tag == _FLOAT:
        with np.errstate(invalid="ignore"):  # a signalling NaN, which becomes silence
            floats = np.frombuffer(data, f"<f{form.bits // 8}").astype(np.float64)
        return np.nan_to_num(floats, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0) * 32767
    if form.bits == 8:  # the only unsigned one
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) * 256
    if form.bits == 32:
        return np.frombuffer(data, "<i4") / 65536.0
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return wide.view("<i4")[:, 0] / 65536.0


def _averaged(samples: npt.NDArray[np.float64], channels: int) -> npt.NDArray[np.float64]:
    if channels == 1:
        return samples
    return np.asarray(samples.reshape(-1, channels).mean(axis=1), dtype=np.float64)


def wav_header(data_bytes: int, sample_rate_hz: int = 8000, channels: int = 1) -> bytes:
    """Write the 44 bytes before `data_bytes` of 16-bit PCM; more than 4 GB are declared as 4 GB."""
    data_bytes = min(data_bytes, _MAX_DATA_BYTES)
    frame_bytes = SAMPLE_BYTES * channels
    return _HEADER.pack(
        b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE", b"fmt ", _FORMAT.size,
        _PCM, channels, sample_rate_hz, sample_rate_hz * frame_bytes, frame_bytes, 8 * SAMPLE_BYTES,
        b"data", data_bytes,
    )  # fmt: skip


class WavWriter:
    """Writes a WAV file of 16-bit PCM as the sound comes.

    The sizes in the header are brought up to date, and everything handed to the operating system, once a second of
    sound: a process killed in between leaves a file that plays, but for its last second.

    Attributes:
        data_bytes: how much sound has been written.
    """

    def __init__(self, file: BinaryIO, sample_rate_hz: int = 8000, channels: int = 1) -> None:
        """Write the header; `file` is open for writing and seekable, and stays the caller's to close."""
        self._file = file
        self._rate = sample_rate_hz
        self._channels = channels
        self._declared = 0
        self.data_bytes = 0
        file.write(wav_header(0, sample_rate_hz, channels))

    def write(self, pcm: bytes) -> None:
        """Append samples, the channels interleaved.

        Raises:
            MediaError: not whole samples of all channels.
            OSError: from the file; what is in it still plays.
        """
        if len(pcm) % (SAMPLE_BYTES * self._channels):
            raise MediaError(f"{len(pcm)} bytes are not whole samples of {self._channels} channels")
        self._file.write(pcm)
        self.data_bytes += len(pcm)
        if self.data_bytes - self._declared >= SAMPLE_BYTES * self._channels * self._rate:
            self.finish()

    def finish(self) -> None:
        """Bring the header up to date; writing may go on afterwards."""
        self._file.seek(0)
        self._file.write(wav_header(self.data_bytes, self._rate, self._channels))
        self._file.seek(0, 2)
        self._file.flush()
        self._declared = self.data_bytes
