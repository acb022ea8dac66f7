from sipflow.media.latch import Address, Latch

SDP: Address = ("192.0.2.1", 4000)
NAT: Address = ("198.51.100.7", 61000)
MOVED: Address = ("198.51.100.7", 62000)
STRANGER: Address = ("203.0.113.66", 9999)


def play(latch: Latch, source: Address, first: int, count: int, *, ssrc: int = 7, at: float = 0.0) -> list[bool]:
    """Send packets 20 ms apart; say which were believed."""
    return [latch.accept(source, ssrc, (first + n) & 0xFFFF, now=at + n * 0.02) for n in range(count)]


def behind_nat() -> Latch:
    """A latch that has proven NAT, whose newest packet is number 4, at 0.04 s."""
    latch = Latch(SDP)
    assert play(latch, NAT, 2, 3) == [False, False, True]
    return latch


def test_the_address_in_sdp_is_believed_from_its_first_packet_on() -> None:
    latch = Latch(SDP)

    assert play(latch, SDP, 10, 4) == [True] * 4

    assert (latch.target, latch.proven, latch.strays) == (SDP, True, 0)


def test_until_a_source_is_proven_we_send_to_the_address_in_sdp() -> None:
    latch = Latch(SDP)

    assert play(latch, NAT, 1, 2) == [False, False]

    assert (latch.target, latch.proven, latch.strays) == (SDP, False, 2)


def test_another_source_is_proven_by_three_packets_in_sequence() -> None:
    latch = behind_nat()

    assert (latch.target, latch.proven) == (NAT, True)
    assert play(latch, NAT, 5, 2) == [True, True]


def test_a_source_may_lose_a_few_packets_while_it_is_proven() -> None:
    latch = Latch(SDP)

    assert [latch.accept(NAT, 7, number, now=0.0) for number in (65534, 1, 4)] == [False, False, True]


def test_packets_out_of_sequence_prove_nothing() -> None:
    latch = Latch(SDP)

    assert [latch.accept(STRANGER, 7, number, now=0.0) for number in (10, 500, 501, 9, 77, 77, 77)] == [False] * 7


def test_packets_of_different_ssrcs_prove_nothing() -> None:
    latch = Latch(SDP)

    assert [latch.accept(STRANGER, 100 + n, n, now=0.0) for n in range(20)] == [False] * 20


def test_a_stranger_between_the_packets_of_the_peer_delays_nothing() -> None:
    latch = Latch(SDP)

    believed = [
        latch.accept(source, ssrc, n, now=n * 0.02) for n in range(3) for source, ssrc in ((STRANGER, n), (NAT, 7))
    ]

    assert believed == [False, False, False, False, False, True]
    assert latch.target == NAT


def test_the_address_in_sdp_wins_over_a_source_that_is_not_proven_yet() -> None:
    latch = Latch(SDP)
    play(latch, STRANGER, 1, 2)

    assert latch.accept(SDP, 9, 500, now=0.1)
    assert play(latch, STRANGER, 3, 5, at=0.2) == [False] * 5

    assert latch.target == SDP


def test_the_address_in_sdp_wins_even_over_a_source_that_was_quicker() -> None:
    latch = behind_nat()

    assert play(latch, SDP, 100, 3, ssrc=8, at=0.1) == [False, False, True]

    assert latch.target == SDP
    assert play(latch, NAT, 5, 5, at=0.2) == [False] * 5


def test_the_address_in_sdp_wins_over_a_stranger_who_sends_between_its_packets() -> None:
    latch = Latch(SDP)
    play(latch, STRANGER, 1, 3)
    believed = []
    for number in range(4):
        latch.accept(STRANGER, 7, 4 + number, now=0.1)
        believed += play(latch, SDP, 500 + number, 1, ssrc=8)
        latch.heard(4 + number, now=0.1)

    assert (believed, latch.target) == ([False, False, True, True], SDP)


def test_in_mid_call_no_packet_of_a_stranger_is_believed() -> None:
    latch = behind_nat()

    assert play(latch, STRANGER, 5, 100, at=0.05) == [False] * 100
    assert play(latch, STRANGER, 5, 100, ssrc=8, at=0.05) == [False] * 100

    assert (latch.target, latch.strays) == (NAT, 202)


def test_a_peer_that_moved_is_found_after_silence_by_its_ssrc_and_sequence() -> None:
    latch = behind_nat()

    assert play(latch, MOVED, 104, 3, at=1.9) == [False] * 3  # not silent for long enough
    assert play(latch, MOVED, 110, 3, at=2.05) == [False, False, True]

    assert latch.target == MOVED


def test_a_stranger_is_not_believed_after_silence_either() -> None:
    latch = behind_nat()

    assert play(latch, STRANGER, 104, 20, ssrc=8, at=10.0) == [False] * 20
    assert play(latch, STRANGER, 30000, 20, at=10.0) == [False] * 20  # the SSRC guessed, the sequence not


def test_a_new_ssrc_of_the_peer_is_believed_after_three_packets_without_the_old_one() -> None:
    latch = behind_nat()

    assert play(latch, NAT, 900, 4, ssrc=8, at=0.1) == [False, False, True, True]

    assert (latch.target, latch.proven) == (NAT, True)


def test_a_forged_ssrc_between_the_peers_own_packets_is_never_believed() -> None:
    latch = behind_nat()

    forged = []
    for n in range(20):
        assert latch.accept(NAT, 7, 5 + n, now=n * 0.02)
        forged.append(latch.accept(NAT, 666, 900 + n, now=n * 0.02))

    assert forged == [False] * 20


def test_packets_reported_in_bulk_count_like_those_that_were_asked_about() -> None:
    latch = behind_nat()
    for n in range(20):
        latch.heard(5 + n, now=1.0 + n * 0.02)
        assert latch.accept(NAT, 666, 900 + n, now=1.0 + n * 0.02) is False

    assert play(latch, MOVED, 100, 3, at=3.3) == [False] * 3
    assert play(latch, MOVED, 103, 3, at=3.4) == [False, False, True]


def test_a_re_invite_with_the_same_address_changes_nothing() -> None:
    latch = behind_nat()

    latch.expect(SDP, now=1.0)

    assert (latch.target, latch.proven) == (NAT, True)


def test_a_re_invite_with_a_new_address_sends_there_and_believes_it_at_once() -> None:
    latch = behind_nat()
    other: Address = ("192.0.2.2", 5000)

    latch.expect(other, now=1.0)

    assert (latch.target, latch.proven) == (other, False)
    assert play(latch, other, 1, 3, ssrc=8, at=1.1) == [True] * 3
    assert latch.target == other


def test_the_old_stream_is_heard_until_the_new_one_comes_but_never_proven_meanwhile() -> None:
    latch = behind_nat()
    latch.expect(("192.0.2.2", 5000), now=1.0)

    assert play(latch, NAT, 5, 10, at=1.0) == [True] * 10
    assert latch.proven is False
    assert play(latch, MOVED, 1, 3, ssrc=8, at=1.2) == [False, False, True]
    assert play(latch, NAT, 15, 3, at=1.3) == [False] * 3

    assert latch.target == MOVED


def test_an_old_stream_that_goes_on_for_long_is_the_peer_still() -> None:
    latch = behind_nat()
    latch.expect(("192.0.2.2", 5000), now=1.0)

    assert play(latch, NAT, 5, 3, at=3.0) == [False, False, True]

    assert latch.target == NAT


def test_without_an_address_in_sdp_there_is_nowhere_to_send_until_a_source_is_proven() -> None:
    latch = Latch(None)
    assert latch.target is None

    play(latch, NAT, 1, 3)

    assert latch.target == NAT


def test_sources_on_trial_are_bounded() -> None:
    latch = Latch(SDP)

    for n in range(1000):
        latch.accept(("203.0.113.66", 1024 + n), n, n, now=0.0)

    assert len(latch._candidates) == 8
    assert play(latch, NAT, 1, 3) == [False, False, True]


def test_the_number_of_packets_and_the_silence_can_be_set() -> None:
    latch = Latch(SDP, packets=1, silent_s=0.5)

    assert play(latch, NAT, 1, 1) == [True]
    assert latch.accept(MOVED, 7, 2, now=0.4) is False
    assert latch.accept(MOVED, 7, 3, now=0.5) is True


def test_a_stream_that_was_there_before_the_call_is_not_heard_in_it() -> None:
    latch = Latch(SDP, late={(STRANGER, 7): 65530})

    assert play(latch, STRANGER, 65531, 10) == [False] * 10
    assert play(latch, NAT, 1, 4, ssrc=8) == [False, False, True, True]
    assert (latch.target, latch.strays) == (NAT, 12)


def test_somebody_with_a_stream_of_his_own_may_call_again_from_where_the_last_one_went_on() -> None:
    other_ssrc, restarted, in_sdp = (Latch(SDP, late={(source, 7): 40000}) for source in (NAT, NAT, SDP))

    assert play(other_ssrc, NAT, 40001, 3, ssrc=8)[-1]
    assert play(restarted, NAT, 1000, 3)[-1] is False  # 26,536 ahead
    assert play(restarted, NAT, 39000, 3)[-1]
    assert play(in_sdp, SDP, 40001, 3) == [True] * 3
