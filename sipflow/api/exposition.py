"""The metrics of an edge as Prometheus reads them. Names and labels are documented in docs/monitoring.md.

Cardinality is bounded: trunks, agents and numbers are labels only where they are configured, and only so many of them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from sipflow import __version__
from sipflow.api.measures import Measures
from sipflow.calls.limits import Scope
from sipflow.calls.tally import Histogram, Line
from sipflow.errors import StoreError
from sipflow.media.lateness import Lateness
from sipflow.trunks.outputs import HealthState, RegistrationState

_LATE_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
_MOST_SCOPES = 200
_STORE_PATIENCE_S = 2.0
_Key = TypeVar("_Key", bound=tuple[str, ...])


class Outbox:
    """What the store said of webhooks that wait, asked before each scrape; None while it is away."""

    __slots__ = ("oldest_s", "waiting")

    def __init__(self, waiting: int | None = None, oldest_s: float = 0.0) -> None:
        self.waiting = waiting
        self.oldest_s = oldest_s


class EdgeCollector(Collector):
    """Reads the figures when it is asked."""

    def __init__(self, measures: Measures, outbox: Outbox) -> None:
        self._measures = measures
        self._outbox = outbox

    def describe(self) -> Iterable[Metric]:
        """Promise nothing: what there is depends on what happened."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        yield from self._edge()
        yield from self._calls()
        yield from self._trunks()
        yield from self._audio()
        yield from self._signalling()
        yield from self._limits()
        yield from self._store()

    def _edge(self) -> Iterator[Metric]:
        measures = self._measures
        yield _gauge("sipflow_info", "Always 1; the version is its label.", ("version",), {(__version__,): 1})
        up_s = (measures.wall() - measures.started_at).total_seconds()
        yield _gauge("sipflow_uptime_seconds", "Since the daemon started.", (), {(): up_s})
        yield _gauge(
            "sipflow_draining", "1 while the daemon is going down.", (), {(): int(measures.switchboard.draining)}
        )
        yield _lateness("sipflow_loop_lag_seconds", "How late the event loop was, ten times a second.",
                        measures.pulse.lateness)  # fmt: skip
        yield _gauge("sipflow_loop_lag_worst_seconds", "The most of the last minute.", (),
                     {(): measures.pulse.worst_lately_s})  # fmt: skip
        faults = measures.endpoint.faults + measures.switchboard.tasks.failures
        yield _counter("sipflow_faults", "Exceptions that nobody expected; the log has each.", (), {(): faults})

    def _calls(self) -> Iterator[Metric]:
        tally = self._measures.tally
        yield _counter("sipflow_calls", "Calls that are over.", Line._fields, tally.calls)
        yield _counter("sipflow_number_calls", "Calls that are over, by number of ours.", ("number", "direction"),
                       tally.of_numbers)  # fmt: skip
        yield _gauge("sipflow_live_calls", "Calls that are up.", ("direction", "trunk", "agent", "state"), self._live())
        yield _gauge("sipflow_waiting_calls", "Calls out that wait for room.", (), {(): self._measures.waiting()})
        yield _histograms("sipflow_call_setup_seconds", "From the INVITE to the first ring, or the answer.",
                          "direction", tally.setup)  # fmt: skip
        yield _histograms("sipflow_call_answer_seconds", "From the INVITE to the answer.", "direction", tally.answer)
        yield _histograms("sipflow_call_talk_seconds", "From the answer to the end.", "direction", tally.talk)
        yield _counter("sipflow_recorded_calls", "Calls that were recorded.", (), {(): tally.recordings})

    def _live(self) -> dict[tuple[str, ...], int]:
        tally = self._measures.tally
        live: Counter[tuple[str, ...]] = Counter()
        for call in self._measures.switchboard.calls.values():
            record = call.record
            state = "answered" if call.answered else "ringing"
            live[record.direction, tally.trunks.label(record.trunk), tally.agents.label(record.agent), state] += 1
        for direction in ("inbound", "outbound"):  # so that nobody has to guess what no line means
            live.setdefault((direction, "none", "none", "answered"), 0)
        return dict(live)

    def _trunks(self) -> Iterator[Metric]:
        measures, label, now = self._measures, self._measures.tally.trunks.label, self._measures.now()
        registered: dict[tuple[str, ...], float] = {}
        left: dict[tuple[str, ...], float] = {}
        for each in measures.registrations():
            for state in RegistrationState:
                key = label(each.trunk), str(state)
                registered[key] = registered.get(key, 0) + (each.state is state)
            if each.registered_until is not None:
                left[label(each.trunk),] = each.registered_until - now
        yield _gauge("sipflow_registration_state", "1 for the state that the registration of a trunk is in.",
                     ("trunk", "state"), registered)  # fmt: skip
        yield _gauge("sipflow_registration_left_seconds", "Until a registration runs out.", ("trunk",), left)
        healths = [each for each in measures.healths() if each.state is not HealthState.UNKNOWN]
        yield _gauge("sipflow_trunk_up", "1 while the far end of a trunk answers OPTIONS.", ("trunk",),
                     {(label(each.trunk),): int(each.state is HealthState.UP) for each in healths})  # fmt: skip
        yield _gauge(
            "sipflow_trunk_round_trip_seconds", "How long its last answer to OPTIONS took.", ("trunk",),
            {(label(each.trunk),): each.round_trip_s for each in healths if each.round_trip_s is not None},
        )  # fmt: skip

    def _audio(self) -> Iterator[Metric]:
        tally, media = self._measures.tally, self._measures.media
        yield _histograms("sipflow_rtp_loss_ratio", "Packets to us that were lost, of each call.", "trunk", tally.loss)
        yield _histograms("sipflow_rtp_jitter_seconds", "RFC 3550 jitter at the end of each call.", "trunk",
                          tally.jitter)  # fmt: skip
        yield _histograms("sipflow_rtp_round_trip_seconds", "By RTCP, of each call.", "trunk", tally.round_trip)
        yield _histograms("sipflow_rtp_mos", "Mean opinion score by the E-model, of each call.", "trunk",
                          tally.opinion)  # fmt: skip
        pacer = media.pacer
        yield _gauge("sipflow_media_streams", "Streams that are paced.", (), {(): len(pacer)})
        yield _lateness("sipflow_pacer_lateness_seconds", "How long after its time each packet was sent.",
                        pacer.lateness)  # fmt: skip
        yield _counter("sipflow_pacer_skipped_packets", "Never sent, for the loop stood still for too long.", (),
                       {(): pacer.skipped})  # fmt: skip
        ports: Counter[tuple[str, ...]] = Counter()
        for counts in media.counts():
            ports.update({(name,): count for name, count in counts._asdict().items()})
        yield _gauge("sipflow_rtp_ports", "Pairs of RTP ports.", ("state",), dict(ports))

    def _signalling(self) -> Iterator[Metric]:
        measures, tracers = self._measures, self._measures.tracers
        yield _counter("sipflow_sip_messages", "SIP messages.", ("direction", "kind"), tracers.tally.messages)
        repeated = {(direction,): count for direction, count in tracers.tally.repeated.items()}
        yield _counter("sipflow_sip_retransmissions", "SIP messages that were a repetition.", ("direction",), repeated)
        yield _counter("sipflow_sip_dropped", "Datagrams and connections turned away unread.", (),
                       {(): measures.endpoint.dropped})  # fmt: skip
        brake = measures.endpoint.brake
        if brake is not None:
            yield _gauge("sipflow_overloaded", "1 while calls that wait too long are refused.", (),
                         {(): int(brake.on(now=measures.now()))})  # fmt: skip
            yield _counter("sipflow_overload_refusals", "INVITEs told 503 or left unread for having waited too long.",
                           ("what",), {("refused",): brake.refused, ("unread",): brake.unread})  # fmt: skip
        yield _counter("sipflow_refusals_without_record", "Refused calls of trunks that left no record: too many.", (),
                       {(): measures.switchboard.turning_away.unkept})  # fmt: skip
        strangers = measures.switchboard.strangers
        if strangers is not None:
            seen = {("refused",): strangers.refused, ("flood",): strangers.flooded, ("scanner",): strangers.scanners}
            yield _counter("sipflow_strangers", "Requests refused, put off for being too many, and sources shut out.",
                           ("what",), seen)  # fmt: skip
            yield _gauge("sipflow_strangers_shut_out", "Sources of which nothing is read now.", (),
                         {(): len(strangers.shut_out)})  # fmt: skip
        state = {(what,): count for what, count in {**measures.ua.counts, **measures.endpoint.counts}.items()}
        yield _gauge("sipflow_sip_state", "What SIP holds at the moment.", ("what",), state)
        ring, hep = tracers.ring, tracers.hep
        if ring is not None:
            yield _gauge("sipflow_trace_bytes", "Memory of the messages that are kept.", (), {(): ring.size_bytes})
            yield _counter("sipflow_trace_forgotten_messages", "Let go to make room.", (), {(): ring.forgotten})
        if hep is not None:
            sent = {("sent",): hep.sent_packets, ("failed",): hep.failed}
            yield _counter("sipflow_hep_packets", "Messages reported to the collector.", ("result",), sent)

    def _limits(self) -> Iterator[Metric]:
        used: dict[tuple[str, ...], int] = {}
        most: dict[tuple[str, ...], int] = {}
        for scope in self._scopes():
            used[scope.name,] = scope.live
            if scope.max_calls is not None:
                most[scope.name,] = scope.max_calls
        yield _gauge("sipflow_limit_used", "Calls that count against a limit.", ("limit",), used)
        yield _gauge("sipflow_limit_calls", "Calls that a limit allows at a time.", ("limit",), most)

    def _scopes(self) -> list[Scope]:
        """Give those that have a limit, and the whole."""
        whole, *others = self._measures.limits.scopes()
        return [whole, *[scope for scope in others if scope.max_calls is not None][:_MOST_SCOPES]]

    def _store(self) -> Iterator[Metric]:
        writer, outbox = self._measures.writer, self._outbox
        if writer is not None:
            yield _gauge("sipflow_store_up", "0 while the database takes nothing.", (), {(): int(not writer.away)})
            yield _gauge("sipflow_store_waiting_records", "Records that the database does not have yet.", (),
                         {(): writer.waiting})  # fmt: skip
            yield _gauge("sipflow_journal_bytes", "Of the journal of records.", (), {(): writer.journal_bytes})
            yield _counter("sipflow_store_lost_records", "Neither journal nor memory had room for.", (),
                           {(): writer.lost})  # fmt: skip
        if outbox.waiting is not None:
            yield _gauge("sipflow_webhook_waiting", "Deliveries of webhooks that wait.", (), {(): outbox.waiting})
            yield _gauge("sipflow_webhook_oldest_seconds", "Age of the oldest that waits.", (), {(): outbox.oldest_s})
        delivered = {(status,): count for status, count in self._measures.delivered().items()}
        yield _counter("sipflow_webhook_tries", "Tries, by what the delivery was after it.", ("status",), delivered)


async def scrape(measures: Measures) -> bytes:
    """Write every metric as it is now, in Prometheus's text format."""
    outbox = await _ask(measures)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(EdgeCollector(measures, outbox))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)


async def _ask(measures: Measures) -> Outbox:
    """Ask the store, for a moment: all other figures must be there while it is away."""
    if measures.deliveries is not None:
        with suppress(StoreError, SQLAlchemyError, TimeoutError):
            async with asyncio.timeout(_STORE_PATIENCE_S):
                return Outbox(*await measures.deliveries())
    return Outbox()


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[_Key, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], values: Mapping[_Key, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def _histograms(name: str, text: str, label: str, values: Mapping[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=(label,))
    for key, histogram in sorted(values.items()):
        buckets, total = [], 0
        for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
            total += count
            buckets.append((_written(bound), float(total)))
        family.add_metric((key,), buckets, histogram.total)
    return family


def _lateness(name: str, text: str, lateness: Lateness) -> HistogramMetricFamily:
    buckets = [(_written(late_ms / 1000), round(lateness.within(late_ms) * lateness.count)) for late_ms in _LATE_MS]
    family = HistogramMetricFamily(name, text)
    family.add_metric((), [*buckets, ("+Inf", lateness.count)], lateness.total_ms / 1000)
    return family


def _written(bound: float) -> str:
    return "+Inf" if bound == float("inf") else f"{bound:g}"
