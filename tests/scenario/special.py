"""How the scenarios are run that are not run like all the others."""

from dataclasses import dataclass

PASSWORD = "open-sesame"
ALICE = (("SIPFLOW_PASSWORD", PASSWORD),)
SILENT, REFUSED, UNANSWERED, UNREACHABLE = 1, 3, 4, 5


@dataclass(frozen=True)
class Run:
    """How one scenario is run.

    Attributes:
        over: udp, tcp or ipv6 (which is UDP too).
        source: SIPp's address.
        sipp: further options of SIPp.
        ears: whether the scenario names ports that listen to our audio.
        auth_user: user part of the URI that SIPp's answer to a challenge is for; "" where there is none.
        policy: what our side does with unknown sources: reject or silent.
        call: further options of `sipflow call`.
        environment: of our side.
        exit_status: of `sipflow call`.
        agent_starts: how many agents the calls of the scenario must start; None where that is not the point.
        at_shutdown: whether a registrar waits for the end of the daemon.
        long: whether it takes more than some seconds.
    """

    over: str = "udp"
    source: str = "127.0.0.1"
    sipp: tuple[str, ...] = ()
    ears: bool = False
    auth_user: str = ""
    policy: str = "reject"
    call: tuple[str, ...] = ("--seconds", "0.5")
    environment: tuple[tuple[str, str], ...] = ()
    exit_status: int = SILENT
    agent_starts: int | None = None
    at_shutdown: bool = False
    long: bool = False


# SIPp hides repeated messages and answers them by itself, unless it is told not to repeat either.
EXPLICIT = ("-nr",)
_LOCKED = "+12065550120"
_BIG = tuple(word for number in range(20) for word in ("--header", f"X-Filler-{number:02}: {'0123456789' * 5}"))

_INBOUND = {
    "a_bye_instead_of_the_ack_ends_the_call": Run(sipp=EXPLICIT),
    "a_big_invite_over_udp_is_answered": Run(agent_starts=1),
    "a_caller_of_rfc_2543_is_served": Run(agent_starts=1),
    "a_caller_over_ipv6_is_served": Run(over="ipv6"),
    "a_caller_over_tcp_is_served_on_its_connection": Run(over="tcp"),
    "a_prack_for_nothing_gets_481": Run(sipp=EXPLICIT),
    "a_reliable_183_is_repeated_until_its_prack": Run(sipp=EXPLICIT, agent_starts=1),
    "an_empty_invite_with_100rel_gets_our_offer_in_the_183": Run(sipp=EXPLICIT),
    "cancel_before_the_prack_gets_487_and_the_prack_200": Run(sipp=EXPLICIT),
    "early_media_is_heard_before_the_answer": Run(ears=True),
    "loss_of_the_200_to_the_prack_is_mended": Run(sipp=EXPLICIT, agent_starts=1),
    "a_caller_who_knows_the_password_is_let_in": Run(auth_user=_LOCKED, agent_starts=1),
    "a_lost_ack_ends_the_call_with_bye_after_32_s": Run(sipp=EXPLICIT, long=True),
    "a_lost_ack_to_a_reinvite_ends_the_call_too": Run(sipp=EXPLICIT, long=True),
    "a_merged_request_gets_482": Run(agent_starts=1),
    "a_wrong_password_is_challenged_again": Run(auth_user=_LOCKED, agent_starts=0),
    "an_old_nonce_is_called_stale": Run(agent_starts=0),
    "an_unanswered_bye_is_repeated_for_32_s_and_the_call_is_gone": Run(sipp=EXPLICIT, long=True),
    "an_unknown_source_gets_403": Run(source="127.0.0.9", agent_starts=0),
    "an_unknown_source_gets_silence_where_that_is_wanted": Run(source="127.0.0.9", policy="silent", agent_starts=0),
    "loss_of_our_200_to_the_callers_bye_is_mended": Run(sipp=EXPLICIT),
    "loss_of_our_bye_is_mended": Run(sipp=EXPLICIT),
    "loss_of_the_100_is_mended": Run(sipp=EXPLICIT, agent_starts=1),
    "loss_of_the_180_is_harmless": Run(sipp=EXPLICIT),
    "loss_of_the_200_is_mended": Run(sipp=EXPLICIT, agent_starts=1),
    "loss_of_the_200_to_our_bye_is_mended": Run(sipp=EXPLICIT),
    "loss_of_the_487_is_mended": Run(sipp=EXPLICIT),
    "loss_of_the_ack_is_mended": Run(sipp=EXPLICIT),
    "loss_of_the_callers_bye_is_mended": Run(sipp=EXPLICIT),
    "loss_of_the_invite_is_mended": Run(sipp=EXPLICIT, agent_starts=1),
    "no_common_codec_gets_488_with_a_warning": Run(agent_starts=0),
    "one_challenge_serves_two_calls": Run(auth_user=_LOCKED),
    "reinvite_moves_our_audio_to_a_new_address": Run(ears=True),
    "reinvite_with_address_zero_is_hold_and_an_address_resumes": Run(ears=True),
    "reinvite_with_inactive_is_hold_and_sendrecv_resumes": Run(ears=True),
    "reinvite_with_sendonly_is_hold_and_sendrecv_resumes": Run(ears=True),
    "an_invite_that_replaces_an_unknown_call_gets_481": Run(agent_starts=0),
    "our_refresh_by_reinvite_comes_half_way": Run(agent_starts=1, long=True),
    "our_refresh_by_update_comes_half_way": Run(agent_starts=1, long=True),
    "retransmitted_invite_is_one_call": Run(sipp=EXPLICIT, agent_starts=1),
    "the_200_is_repeated_over_tcp_too": Run(over="tcp", sipp=EXPLICIT),
    "the_200_is_repeated_until_the_ack": Run(sipp=EXPLICIT, agent_starts=1),
}

_USER = ("--username", "alice", "--seconds", "0.5")
_CHALLENGED = Run(call=_USER, environment=ALICE)
_LOSS = Run(sipp=EXPLICIT)

_OUTBOUND = {
    "a_200_that_crosses_our_cancel_is_acknowledged_and_hung_up": Run(call=("--ring-s", "0.5"), exit_status=UNANSWERED),
    "a_big_invite_falls_back_to_udp_where_tcp_is_refused": Run(call=("--seconds", "0.5", *_BIG)),
    "a_big_invite_of_ours_goes_over_tcp": Run(over="tcp", call=("--seconds", "0.5", *_BIG)),
    "a_call_of_ours_is_answered_and_we_hang_up": Run(sipp=("-rtp_echo",), call=("--seconds", "1"), exit_status=0),
    "a_callee_over_ipv6_is_called": Run(over="ipv6"),
    "a_call_that_analytics_reject_is_over": Run(exit_status=REFUSED),
    "an_unwanted_call_is_over": Run(exit_status=REFUSED),
    "a_caller_of_ours_who_gives_up_cancels": Run(call=("--ring-s", "0.5"), exit_status=UNANSWERED),
    "a_cancel_waits_for_a_provisional_response": Run(call=("--ring-s", "0.3"), exit_status=UNANSWERED),
    "a_proxy_and_then_the_callee_challenge": _CHALLENGED,
    "a_redirection_of_our_call_is_acknowledged": Run(exit_status=REFUSED),
    "a_refusal_without_ringing_is_acknowledged": Run(exit_status=REFUSED),
    "a_second_fork_that_answers_is_acknowledged_and_hung_up": Run(call=("--seconds", "1.5")),
    "a_wrong_password_is_tried_once": Run(call=_USER, environment=ALICE, exit_status=REFUSED),
    "an_answer_that_cannot_be_used_is_acknowledged_and_hung_up": Run(exit_status=SILENT),
    "an_unknown_algorithm_is_not_answered": Run(call=_USER, environment=ALICE, exit_status=REFUSED),
    "an_unanswered_invite_is_repeated_for_32_s": Run(sipp=EXPLICIT, exit_status=UNANSWERED, long=True),
    "every_copy_of_the_200_is_acknowledged": Run(sipp=EXPLICIT, call=("--seconds", "1")),
    "loss_of_our_ack_to_a_refusal_is_mended": Run(sipp=EXPLICIT, call=_USER, environment=ALICE),
    "a_repeated_reliable_180_is_acknowledged_once": _LOSS,
    "loss_of_our_invite_is_mended": _LOSS,
    "loss_of_our_prack_is_mended": _LOSS,
    "loss_of_the_100_to_our_invite_is_mended": _LOSS,
    "loss_of_the_callees_180_is_harmless": _LOSS,
    "loss_of_the_callees_200_is_mended": _LOSS,
    "loss_of_the_callees_200_to_our_bye_is_mended": _LOSS,
    "our_bye_answers_a_challenge": _CHALLENGED,
    "our_invite_follows_a_stale_nonce": _CHALLENGED,
    "ringing_and_then_busy": Run(exit_status=REFUSED),
    "the_callee_leaves_the_refreshes_to_us": Run(call=("--seconds", "46"), long=True),
    "the_callee_hangs_up": Run(call=("--seconds", "10")),
    "the_callee_puts_us_on_hold": Run(call=("--seconds", "10")),
    "the_topmost_known_algorithm_is_chosen": _CHALLENGED,
} | dict.fromkeys(
    (
        "our_invite_answers_401_with_md5_without_qop",
        "our_invite_answers_401_with_sha_256_and_qop_auth",
        "our_invite_answers_401_with_sha_512_256_without_qop",
        "our_invite_answers_407_with_md5_and_qop_auth",
        "our_invite_answers_407_with_sha_256_without_qop",
        "our_invite_answers_407_with_sha_512_256_and_qop_auth",
    ),
    _CHALLENGED,
)

_REGISTRAR = {
    "a_3xx_is_followed": Run(source="0.0.0.0"),  # it listens on the address that it redirects to, too
    "a_registration_is_taken_back_at_shutdown": Run(at_shutdown=True),
    "a_registration_over_tcp": Run(over="tcp", environment=(("REGISTRAR", "'sip:127.0.0.1:5090;transport=tcp'"),)),
    "a_shorter_expiry_that_is_granted_is_kept": Run(long=True),
    "loss_of_the_200_to_our_register_is_mended": Run(sipp=EXPLICIT),
    "taking_back_a_registration_answers_a_challenge": Run(at_shutdown=True),
}

RUNS = {
    f"{folder}/{name}": run
    for folder, runs in (("inbound", _INBOUND), ("outbound", _OUTBOUND), ("registrar", _REGISTRAR))
    for name, run in runs.items()
}
"""By the name of the scenario; whatever is not in here is run with `Run()`."""
