"""One RTP stream of one call: what the call above starts, updates, reads, plays into and closes."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from time import monotonic

from sipflow.audio.codecs import find_codec
from sipflow.errors import MediaError
from sipflow.media.capture import PacketCapture
from sipflow.media.connected import Connected, open_connected
from sipflow.media.encryption import Encryption
from sipflow.media.inbound import Inbound, Onward
from sipflow.media.latch import Address, Latch
from sipflow.media.later import Later
from sipflow.media.listening import Listening
from sipflow.media.outbound import Outbound, StreamStart
from sipflow.media.pacer import Pacer
from sipflow.media.play_queue import PlayQueue
from sipflow.media.playing import Playing, settling
from sipflow.media.playout import Playout, Sink
from sipflow.media.poller import Reader
from sipflow.media.ports import PortPair, PortPool
from sipflow.media.reader import FrameQueue, FrameReader
from sipflow.media.recording import Format, Recording
from sipflow.media.reporting import Reporting
from sipflow.media.settings import Settings
from sipflow.media.statistics import MediaStatistics
from sipflow.media.tone_ear import ToneEar
from sipflow.rtp.quality import opinion
from sipflow.sdp.agreement import Agreed

_UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104  (recognised, not bound)


class MediaSession(Playing):
    """Receives and sends the audio of one call, 16-bit mono samples on this side, RTP on the other.

    It is made with a lent port pair, before there is an offer to write; `start` begins when something was agreed,
    `close` gives the pair back. Everything is called in the loop's thread.

    Attributes:
        pair: the lent ports; their numbers go into SDP.
        agreed: what was agreed last, None before `start`.
        closed: whether `close` was called.
        queue: what waits to be played; `enqueue` and its neighbours here are what to use, but where every call counts.
        on_tapped: told when somebody begins or ceases to be given what is sent; see `tapped`.
        turn: held by whoever plays a stream piece by piece, so that two streams do not mix.
        later: calls when reports and the watch for silence are to begin; None begins both with the stream.
    """

    later: Later | None = None

    # What most streams never set, or set late, costs them nothing here.
    closed = False
    _silent_since = 0.0
    _watch: asyncio.TimerHandle | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _ear: ToneEar | None = None
    _away: list[FrameQueue] | None = None
    _connected: Connected | None = None

    def __init__(
        self,
        pair: PortPair,
        pacer: Pacer,
        *,
        ports: PortPool,
        settings: Settings | None = None,
        on_digit: Callable[[str], None] | None = None,
        on_silent: Callable[[float], None] | None = None,
        start: StreamStart | None = None,
        clock: Callable[[], float] = monotonic,
        on_failed: Callable[[str], None] | None = None,
        threads: Executor | None = None,
    ) -> None:
        """Prepare a stream; nothing is sent or read yet.

        Args:
            pair: lent by `ports`, and given back to it.
            pacer: ticks this session while it is started.
            ports: where `pair` belongs.
            settings: None for the defaults.
            on_digit: told each digit the peer presses (RFC 4733), once, at its first packet.
            on_silent: told the seconds of silence when the peer sent nothing for `settings.rtp_timeout_s`, and again
                after each further such time. Not while on hold.
            start: first SSRC, sequence number and timestamp; None draws them at random.
            clock: monotonic seconds.
            on_failed: told why no audio can pass: the far end's DTLS handshake failed.
            threads: write recordings; None lets the loop choose.
        """
        self.pair = pair
        self.agreed: Agreed | None = None
        self.turn = asyncio.Lock()
        self.on_tapped: Callable[[], None] = _nobody_told
        self._pacer = pacer
        self._ports = ports
        self._settings = settings = settings or Settings()
        self._clock = clock
        self._on_silent = on_silent
        self._threads = threads
        self.queue = PlayQueue(limit_s=settings.play_queue_s)
        self._playout = Playout(
            find_codec("PCMU"), ptime_ms=settings.ptime_ms, min_ms=settings.jitter_min_ms, max_ms=settings.jitter_max_ms
        )
        self._playout.on_pace = self._hear
        self._reporting = Reporting(pair.rtp, pair.rtcp, clock=clock)
        self._reporting.on_report = self._connect
        self._latch = Latch(None, packets=settings.latch_packets, silent_s=settings.latch_silent_s, late=pair.late)
        self._inbound = self._receiver(on_digit)
        self._outbound = Outbound(
            pair.rtp,
            self._latch,
            self.queue,
            start=start or StreamStart.random(),
            send_silence=settings.send_silence,
            pace=pacer,
            clock=clock,
        )
        self._encryption = Encryption(pair.rtp, self._inbound, self._outbound, self._reporting)
        if on_failed is not None:
            self._encryption.on_failed = on_failed

    def _receiver(self, on_digit: Callable[[str], None] | None) -> Inbound:
        return Inbound(
            self.pair.rtp,
            self._latch,
            self._playout,
            on_digit=on_digit,
            on_first=self._follow,
            on_rtcp=self._reporting.take,
            clock=self._clock,
        )

    def __repr__(self) -> str:
        return f"MediaSession(port {self.pair.port})"

    def start(self, agreed: Agreed) -> None:
        """Begin to receive and, every packet time, to send.

        Raises:
            MediaError: the codec is not ours, the peer's address cannot be reached from `settings.bind_host`'s family,
                or the session is closed or started already.
        """
        if self.closed or self._loop is not None:
            raise MediaError(f"{self!r} is {'closed' if self.closed else 'started already'}")
        self._agree(agreed)
        self._loop = asyncio.get_running_loop()
        self._pacer.poller.add(self.pair.rtp, self._inbound.readable)
        self._pace(agreed.ptime_ms)
        self._reporting.start(self._outbound, self._inbound, clock_rate_hz=agreed.codec.clock_rate_hz)
        later, timeout_s = self.later, self._settings.rtp_timeout_s
        if later is None or 0 < timeout_s < later.after_s:
            self._begin()
        else:
            later.add(self, self._begin)

    def _begin(self) -> None:
        """Do what calls that are over at once are spared.

        What the peer reports meanwhile waits in the socket: it has heard no report of ours that it could answer, so
        when it is read tells nothing.
        """
        loop, timeout_s = self._loop, self._settings.rtp_timeout_s
        if loop is None:
            return
        self._pacer.poller.add(self.pair.rtcp, self._reporting.readable)
        self._reporting.begin()
        if self._on_silent is not None and timeout_s:
            self._watch = loop.call_later(max(timeout_s - (self._clock() - self._silent_since), 0.0), self._look)

    def update(self, agreed: Agreed) -> None:
        """Change what was agreed, after a re-INVITE: address, codec, packet time, hold and resume.

        What is queued to be played stays queued; on hold nothing is sent and playing stands still.

        Raises:
            MediaError: as `start`, or the session is not started; nothing has changed then.
        """
        if self._loop is None or self.agreed is None:
            raise MediaError(f"{self!r} is not started")
        moved = agreed.ptime_ms != self.agreed.ptime_ms
        self._agree(agreed)
        if moved:
            self._pacer.add(self._outbound, ptime_ms=agreed.ptime_ms)  # what comes has the pace that it has

    def close(self) -> None:
        """Stop, end every reader, drop what is queued, give the ports back. Closing twice is no error."""
        if self.closed:
            return
        self.closed = True
        self.hand_on(None)
        self._pacer.remove(self._outbound)
        self._pacer.remove(self._playout)
        self._pacer.poller.remove(self.pair.rtp)
        self._pacer.poller.remove(self.pair.rtcp)
        if self.later is not None:
            self.later.remove(self)
        self._loop = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._disconnect()
        self._reporting.end()
        self._encryption.close()
        self._outbound.end()
        self._playout.end()
        for queue in self._away or ():
            queue.end()
        self._inbound.end()
        self._playout.on_pace = _ignore
        self.on_tapped = _nobody_told
        self._ports.give_back(self.pair, now=monotonic())

    def frames(self) -> FrameReader:
        """Iterate over what the peer says, from now until the session closes; every caller gets its own reader.

        A reader that is slow loses the oldest audio (`FrameReader.lost`) and holds up nobody.
        """
        queue = FrameQueue(self._playout.sample_rate_hz, limit=self._settings.queue_frames)
        if self._away is not None:
            self._away.append(queue)
        else:
            self._listen(queue)
        reader = FrameReader(queue, self.forget)
        if self.closed:
            reader.close()
        return reader

    @property
    def read(self) -> bool:
        """Whether somebody reads `frames` now."""
        return any(isinstance(sink, FrameQueue) for sink in self._playout.sinks)

    def listen(self, sink: Sink) -> None:
        """Give a sink every packet time of what the peer says, as it is played out: no queue and no task between.

        It is told the rate at once, and again when that changes. It ends with `forget`, or the session.
        """
        sink.switch(self._playout.sample_rate_hz)
        if self.closed:
            sink.end()
        else:
            self._listen(sink)

    def forget(self, sink: Sink) -> None:
        """Give a sink no more; no error if it never listened."""
        if self._away is not None:
            self._away = [queue for queue in self._away if queue is not sink]
        self._playout.forget(sink)
        if self._inbound.onward is not None and not self._playout.sinks:
            self._pacer.remove(self._playout)

    def send_readers_away(self) -> None:
        """Let every reader of `frames`, one that is made meanwhile too, wait and hear nothing until `let_readers_back`.

        Recordings and whoever came by `listen` go on.
        """
        away = [sink for sink in self._playout.sinks if isinstance(sink, FrameQueue)]
        for queue in away:
            self.forget(queue)
        self._away = away

    def let_readers_back(self) -> None:
        """Give the readers what is said from now on. No error if none was sent away."""
        away, self._away = self._away, None
        for queue in away or ():
            queue.switch(self._playout.sample_rate_hz)
            self._listen(queue)

    @property
    def _heard(self) -> bool:
        """Whether what comes is played out: not if it is only handed on."""
        return self._inbound.onward is None or bool(self._playout.sinks)

    def _listen(self, sink: Sink) -> None:
        self._inbound.leave_shortcut()
        resumed = not self._heard
        self._playout.listen(sink)
        if resumed:
            self._playout.restart()
            self._hear(self._playout.ptime_ms)

    @property
    def tapped(self) -> bool:
        """Whether somebody, such as a recording, is given what this session sends."""
        return bool(self._outbound.taps)

    def hand_on(self, onward: Onward | None) -> None:
        """Give each packet of the peer's away as it comes; None gives no more.

        Meanwhile nothing is played out while nobody listens, which costs nothing then.
        """
        self._inbound.leave_shortcut()
        was, self._inbound.onward = self._inbound.onward, onward
        if (was is None) == (onward is None):
            return
        self._pacer.urgent += 1 if was is None else -1
        if self.closed:
            return
        if onward is not None and not self._playout.sinks:
            self._pacer.remove(self._playout)
        elif onward is None:
            self._playout.restart()
            self._hear(self._playout.ptime_ms)

    def relaying(self) -> Outbound:
        """Send packets of another stream from here on: gives what takes them, see `Outbound.relay`.

        Digits and what is queued here come first, whenever there are any.
        """
        self._outbound.start_relaying()
        return self._outbound

    def read_by(self, reader: Reader | None, connected: Reader | None) -> None:
        """Have the RTP socket, and the one connected to the peer, read by others from now on; None by us again."""
        self._pacer.poller.replace(self.pair.rtp, reader or self._inbound.readable)
        if self._connected is not None:
            self._pacer.poller.replace(self._connected.sock, connected or self._inbound.readable_connected)

    def _connect(self) -> None:
        """Have a socket of its own for the peer whose packets come in order from where ours go, if it has none yet."""
        peer, target, had = self._inbound.steady_peer, self._latch.target, self._connected
        if self.closed or peer is None or target is None or peer[:2] != target or (had and had.peer == peer):
            return
        if not self._inbound.catch_up():
            return
        self._disconnect()
        connected = open_connected(self.pair.rtp, peer)
        if connected is not None:
            self._connected = connected
            self._inbound.connect(connected)
            self._outbound.connect(connected.sock, target)
            self._pacer.poller.add(connected.sock, self._inbound.readable_connected)

    def _disconnect(self) -> None:
        connected, self._connected = self._connected, None
        if connected is not None:
            self._inbound.connect(None)
            self._outbound.leave_shortcut()
            self._outbound.disconnect()
            self._pacer.poller.remove(connected.sock)
            connected.sock.close()

    def stop_relaying(self) -> None:
        """Send what is queued again, or silence."""
        self._outbound.stop_relaying()

    def prefer(self, sample_rate_hz: int) -> None:
        """Have a codec that knows several rates, such as Opus, work at this one from the next agreement on."""
        self._inbound.wish_hz = self._outbound.wish_hz = sample_rate_hz

    def hear_tones(self, on_tone: Callable[[str], None] | None) -> None:
        """Tell each DTMF digit that is heard in the audio from now on; None listens no more."""
        if self._ear is not None:
            if self._ear.on_tone is on_tone:
                return  # a digit that is being pressed is not heard twice
            self.forget(self._ear)
            self._ear = None
        if on_tone is not None and not self.closed:
            self._ear = ToneEar(on_tone, self._playout.sample_rate_hz)
            self._listen(self._ear)

    async def record(self, path: str | Path, *, format: Format = "wav") -> Recording:
        """Record both voices into a file from now until it is stopped or the session closes.

        Args:
            path: of the file; one that is there is replaced.
            format: "wav" (16-bit PCM) or "ogg" (Opus).

        Raises:
            MediaError: the file cannot be made.

        Cancelling leaves an empty file.
        """
        rate_hz = max(self._playout.sample_rate_hz, self._outbound.sample_rate_hz)
        recording = await Recording.open(path, format=format, sample_rate_hz=rate_hz, threads=self._threads)
        recording.when_stopped(lambda: self.let_go(recording))
        self.give_both(recording)
        return recording

    def capture(self, into: PacketCapture | None) -> None:
        """Keep every RTP packet from now on, both ways and not encrypted; None keeps no more."""
        self._leave_shortcuts()
        if into is None:
            self._inbound.captured = self._outbound.captured = None
        elif not self.closed:
            host, port = self.pair.rtp.getsockname()[:2]
            near: Address = (host, port)
            self._inbound.captured = lambda data, far: into.take(False, near, far, data)
            self._outbound.captured = lambda data, far: into.take(True, near, far, data)

    def give_both(self, ear: Recording | Listening) -> None:
        """Give somebody what the peer says and what it is told, from now until `let_go` or the session closes."""
        ear.switch(self._playout.sample_rate_hz)
        ear.sends_at(self._outbound.sample_rate_hz)
        if self.closed:
            ear.end()
        else:
            self._listen(ear)
            self._outbound.taps = (*self._outbound.taps, ear)
            self.on_tapped()

    def let_go(self, ear: Recording | Listening) -> None:
        """Give them no more; no error if they were given nothing."""
        self.forget(ear)
        self._outbound.taps = tuple(tap for tap in self._outbound.taps if tap is not ear)
        self.on_tapped()

    def listening(self) -> Listening:
        """Let somebody listen to both voices from now on; `let_go` when they have had enough."""
        listening = Listening(max(self._playout.sample_rate_hz, self._outbound.sample_rate_hz))
        self.give_both(listening)
        return listening

    @property
    def muted(self) -> bool:
        """Whether the peer gets silence in the place of what is played; digits still reach it."""
        return self._outbound.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._outbound.leave_shortcut()
        self._outbound.muted = muted

    def enqueue(self, pcm: bytes, *, cushion_ms: int = 0, continues: bool = False) -> None:
        """Play samples after what is queued already. Does nothing once closed.

        Args:
            pcm: signed 16-bit little-endian mono at the rate of `queue`, any number of samples.
            cushion_ms: for live sources, such as an echo: how much must wait before any of it is sent, at first and
                after it ran dry, so that jitter does not break it up. 40 suits 20 ms packets. What runs ahead of the
                cushion by more than 80 ms is dropped, oldest first.
            continues: counts as one with what was enqueued before, for `clear`, even if that has been played already.

        Raises:
            MediaError: half a sample, or more than `settings.play_queue_s` would be waiting.
        """
        if not self.closed:
            self.queue.enqueue(pcm, cushion_ms=cushion_ms, continues=continues)

    def send_digits(self, digits: str, *, duration_ms: int = 100, gap_ms: int = 100) -> asyncio.Future[bool]:
        """Send digits as telephone-events (RFC 4733); what is playing pauses meanwhile.

        Args:
            digits: any of `0-9 * # A-D`, in order.
            duration_ms: of each, rounded up to whole packets.
            gap_ms: silence after each, rounded up to whole packets.

        Returns:
            A future: True when the last packet was sent, False when that became impossible.

        Raises:
            LocalProtocolError: the peer did not agree to telephone-event (RFC 4733), or this is no digit.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.closed:
            future.set_result(False)
        else:
            self._outbound.send_digits(digits, settling(future), duration_ms=duration_ms, gap_ms=gap_ms)
        return future

    def silent_s(self, *, now: float) -> float:
        """Give the seconds since the peer's last packet, or since the start or the end of hold; 0.0 on hold."""
        if self.agreed is None or not (self.agreed.sends and self.agreed.receives):
            return 0.0
        self._inbound.settle()
        return now - max(self._inbound.last_at or 0.0, self._silent_since)

    @property
    def heard_anything(self) -> bool:
        """Whether a packet of the peer has come."""
        return self._inbound.first_at is not None

    def statistics(self) -> MediaStatistics:
        """Take a snapshot of the counters; good before `start` and after `close` too."""
        inbound, outbound, source = self._inbound, self._outbound, self._inbound.source
        outbound.settle()
        reports = self._reporting.reports
        return MediaStatistics(
            codec=self.agreed.codec.name if self.agreed else "",
            packets_sent=outbound.packets,
            bytes_sent=outbound.bytes,
            packets_received=source.received,
            bytes_received=inbound.bytes,
            lost=source.lost,
            late=self._playout.late,
            concealed_ms=self._playout.concealed_ms,
            jitter_buffer_ms=0.0 if self.closed else self._playout.depth_ms,
            unauthentic=self._encryption.dropped,
            duplicates=source.duplicates,
            jitter_ms=source.jitter_ms,
            strays=self._latch.strays,
            unexpected=inbound.unexpected,
            malformed=inbound.malformed + self._reporting.malformed,
            rtcp_received=self._reporting.received,
            rtcp_sent=self._reporting.sent,
            round_trip_ms=self._round_trip_ms,
            remote_lost=reports.remote_lost if reports is not None else 0,
            remote_jitter_ms=reports.remote_jitter_ms if reports is not None else None,
            opinion=self._opinion(source.lost + self._playout.late),
            send_errors=outbound.errors,
            digits_received=inbound.digits,
            first_packet_at=inbound.first_at,
            last_packet_at=inbound.last_at,
            played_ms=self.queue.played_ms,
            dry=self.queue.dry,
            skipped_ms=self.queue.skipped_ms,
        )

    @property
    def _round_trip_ms(self) -> float | None:
        reports = self._reporting.reports
        return 1000 * reports.round_trip_s if reports is not None and reports.round_trip_s is not None else None

    def _opinion(self, missing: int) -> float | None:
        """Say how what we hear sounds: None before anything was heard."""
        expected = self._inbound.source.expected
        if self.agreed is None or not expected:
            return None
        held_ms = self._playout.depth_ms
        one_way_ms = (self._round_trip_ms or 0.0) / 2 + held_ms + self._playout.ptime_ms
        return opinion(self._playout.codec.name, lost=missing / expected, one_way_ms=one_way_ms)

    def _agree(self, agreed: Agreed) -> None:
        now = self._clock()
        remote = self._remote(agreed)
        decoding, encoding = self._inbound.decoding(agreed), self._outbound.encoding(agreed)
        self._leave_shortcuts()
        self._encryption.agree(agreed, remote)  # up to here it may be refused, and nothing has changed
        self._inbound.agree(agreed, decoding)
        self._outbound.agree(agreed, encoding, sends=agreed.sends and (remote is not None or agreed.remote_named))
        self._reporting.agree(agreed)
        if remote is not None:
            self._inbound.expect(remote, now=now)
        if self.agreed is None or not (self.agreed.sends and self.agreed.receives):
            self._silent_since = now
        self.agreed = agreed

    def _leave_shortcuts(self) -> None:
        """Have every packet go through our two halves again, before anything changes in them."""
        self._inbound.leave_shortcut()
        self._outbound.leave_shortcut()

    def _pace(self, ptime_ms: int) -> None:
        """Send every packet time; what comes is played out as often, from its first packet on (`_follow`)."""
        self._pacer.add(self._outbound, ptime_ms=ptime_ms)
        self._playout.pace(ptime_ms)

    def _hear(self, ptime_ms: int) -> None:
        """Play out as often as the far end sends."""
        self._playout.pace(ptime_ms)
        if self._loop is not None and self._heard:
            self._pacer.hear(self._playout, ptime_ms=ptime_ms)

    def _follow(self, at: float) -> None:
        """Play out a little after the far end's packets come."""
        if self._loop is not None and self._heard:
            self._pacer.hear(self._playout, ptime_ms=self._playout.ptime_ms, after=at)

    def _remote(self, agreed: Agreed) -> Address | None:
        """Give the peer's address as the socket will name it; None while SDP names none (old hold, RFC 3264 §8.4)."""
        name, percent, zone = agreed.remote_host.partition("%")
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        try:
            host = socket.inet_ntop(family, socket.inet_pton(family, name)) + percent + zone  # as recvfrom writes it
        except (OSError, ValueError):  # ValueError: a NUL or a surrogate inside
            raise MediaError(f"the peer's media address {agreed.remote_host!r} is not an IP address") from None
        if family != self.pair.family:
            raise MediaError(
                f"the peer wants media at {host}, which {self._settings.bind_host} (media.bind_host) cannot reach"
            )
        if host in _UNSPECIFIED or not agreed.remote_rtp_port:
            return None
        return host, agreed.remote_rtp_port

    def _look(self) -> None:
        """Report the peer's silence, and look again when it may next have lasted long enough."""
        timeout_s = self._settings.rtp_timeout_s
        silent_s = self.silent_s(now=self._clock())
        if silent_s >= timeout_s and self._on_silent is not None:
            self._on_silent(silent_s)
            silent_s = 0.0
        if self._loop is not None:
            self._watch = self._loop.call_later(timeout_s - silent_s, self._look)


def _ignore(_ptime_ms: int) -> None:
    """Stand in for a callback after the end: nobody listens any more."""


def _nobody_told() -> None:
    """Stand in for a callback that nobody has given."""
