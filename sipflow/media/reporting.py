"""RTCP of one stream: what the far end says of itself and of us, and what we tell it."""

import asyncio
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from sipflow.errors import MediaError
from sipflow.media.inbound import Inbound
from sipflow.media.latch import Address
from sipflow.media.outbound import Outbound
from sipflow.rtp.packet import is_rtcp
from sipflow.rtp.reports import Reports, Sent
from sipflow.rtp.rtcp import ntp_time
from sipflow.sdp.agreement import Agreed

_DATAGRAM_BYTES = 2048


class Reporting:
    """Reports every five seconds or so, and reads the peer's reports. Nothing in them is obeyed: a BYE ends no call.

    Reports go where the audio goes: to the port that the description names for them while the peer is at the address
    it gave, else to the next port of where it really is.

    Attributes:
        received, malformed, sent: counters of `MediaStatistics`.
        protect, unprotect: encrypt what is sent, and open what comes; None where nothing is encrypted.
        reports: what the peer said; None before the start, and of a stream that ended before it was asked for.
        on_report: called with every report that is due: now and then, when a stream has proved itself.
    """

    def __init__(self, rtp: socket.socket, rtcp: socket.socket, *, clock: Callable[[], float]) -> None:
        self._rtp = rtp
        self._rtcp = rtcp
        self._clock = clock
        self._outbound: Outbound | None = None
        self._inbound: Inbound | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._agreed: Agreed | None = None
        self.protect: Callable[[bytes], bytes] | None = None
        self.unprotect: Callable[[bytes], bytes | None] | None = None
        self._reports: Reports | None = None
        self._clock_rate_hz = 8000
        self._started_at = 0.0
        self.received = self.malformed = self.sent = 0
        self.on_report: Callable[[], None] = _nobody_told
        self._wall_ahead_s = time.time() - clock()  # fixed: round trips are differences (RFC 3550 §6.4.1)

    def start(self, outbound: Outbound, inbound: Inbound, *, clock_rate_hz: int) -> None:
        """Be ready for reports of the peer, in the running loop; none of ours is sent before `begin`."""
        self._outbound, self._inbound = outbound, inbound
        self._loop = asyncio.get_running_loop()
        self._clock_rate_hz, self._started_at = clock_rate_hz, self._clock()

    def begin(self) -> None:
        """Send reports, the first 1 to 3 s after the start. No error if it has ended."""
        self._arm()

    @property
    def reports(self) -> Reports | None:
        if self._reports is None and self._outbound is not None:  # many calls are over before anybody asks
            cname = f"{random.getrandbits(96):024x}"  # RFC 7022 §4.2: another one for each call tells nobody who we are
            self._reports = Reports(
                self._outbound.ssrc,
                cname,
                clock_rate_hz=self._clock_rate_hz,
                now=self._started_at,
                draw=random.random(),
            )
        return self._reports

    def agree(self, agreed: Agreed) -> None:
        """Take where reports go, and in which clock the peer counts."""
        self._agreed = agreed
        self._clock_rate_hz = agreed.codec.clock_rate_hz
        if self._reports is not None:
            self._reports.retime(self._clock_rate_hz)

    def readable(self) -> None:
        """Read one datagram that waits."""
        try:
            data = self._rtcp.recv(_DATAGRAM_BYTES)
        except OSError:
            return  # nothing there, or an ICMP error that was queued
        self.take(data)

    def take(self, data: bytes) -> None:
        """Take one RTCP datagram, from whichever port."""
        if self.unprotect is not None:
            opened = self.unprotect(data)
            if opened is None:
                return
            data = opened
        if self.reports is None or self._inbound is None or len(data) < 8 or not is_rtcp(data):
            self.malformed += 1
        elif self.reports.receive(data, self._inbound.source, now=self._clock(), ntp_now=self._ntp()):
            self.received += 1
        else:
            self.malformed += 1

    def end(self) -> None:
        """Say goodbye, and report no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reports is not None and self._inbound is not None and self.sent:
            sent = self._progress()
            self._send(self._reports.goodbye(self._inbound.source, sent, now=self._clock(), ntp_now=self._ntp()))
        self._loop = None
        self.on_report = _nobody_told
        self._inbound = self._outbound = None  # or else they and we keep each other, until somebody collects garbage

    def _report(self) -> None:
        if self.reports is None or self._inbound is None:
            return
        self._send(
            self.reports.compose(
                self._inbound.source, self._progress(), now=self._clock(), ntp_now=self._ntp(), draw=random.random()
            )
        )
        self._arm()
        self.on_report()

    def _arm(self) -> None:
        if self._loop is not None and self.reports is not None:
            self._timer = self._loop.call_later(max(self.reports.due_at - self._clock(), 0.1), self._report)

    def _progress(self) -> Sent:
        assert self._outbound is not None
        self._outbound.settle()
        return Sent(self._outbound.packets, self._outbound.bytes, self._outbound.timestamp)

    def _send(self, data: bytes) -> None:
        target = self._target()
        if target is None:
            return
        mux = self._agreed is not None and self._agreed.rtcp_mux
        # Unreachable, no buffer space, or nothing that SRTP takes: the next report has the same counts and more.
        with suppress(OSError, MediaError):
            if self.protect is not None:
                data = self.protect(data)
            if not data:
                return
            (self._rtp if mux else self._rtcp).sendto(data, target)
            self.sent += 1

    def _target(self) -> Address | None:
        agreed, inbound = self._agreed, self._inbound
        audio = inbound.latch.target if inbound is not None else None
        if agreed is None or audio is None or not agreed.remote_rtcp_port:
            return None  # on hold reports go on (RFC 3264 §5.1), but not by c=0.0.0.0 (§8.4)
        if agreed.rtcp_mux:
            return audio
        if audio == (agreed.remote_host, agreed.remote_rtp_port):
            return agreed.remote_rtcp_host, agreed.remote_rtcp_port
        return audio[0], audio[1] + 1 if audio[1] < 0xFFFF else audio[1]

    def _ntp(self) -> int:
        """The wall clock of this stream, which nobody sets."""
        return ntp_time(self._wall_ahead_s + self._clock())


def _nobody_told() -> None:
    """Stand in for a callback that nobody has given."""
