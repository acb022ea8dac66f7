"""What far ends ask and say in the middle of calls: new offers, INFO, texts, REFER."""

from typing import TYPE_CHECKING

from sipflow.calls.call import Call
from sipflow.calls.following import refer_came
from sipflow.calls.inbound import InboundCall
from sipflow.errors import LocalProtocolError, MediaError, RemoteProtocolError
from sipflow.sip import outputs as sip
from sipflow.sip.admission import warning
from sipflow.sip.dtmf_info import read_digit
from sipflow.sip.message import Request

if TYPE_CHECKING:
    from sipflow.calls.switchboard import Switchboard


class MidCall:
    """Hands what happens inside dialogs to the calls, for the switchboard."""

    def __init__(self, board: "Switchboard") -> None:
        self._board = board

    def take(self, event: object) -> None:
        """Take an event of a call that is under way; what is none is left alone."""
        match event:
            case sip.OfferReceived():
                self._reoffered(event)
            case sip.OfferAnswered(usage, status, body):
                self._offer_answered(usage.app, status, body)
            case sip.InfoReceived(usage, request):
                self._informed(usage.app, request)
            case sip.InfoAnswered(usage, status):
                if isinstance(usage.app, Call) and "outbox" in vars(usage.app):
                    usage.app.outbox.info_answered(status)
            case sip.MessageReceived():
                self._texted(event)
            case sip.MessageAnswered(usage, status):
                if isinstance(usage.app, Call):
                    usage.app.text_answered(status)
            case sip.UpdateReceived(usage, request):
                if isinstance(usage.app, Call):
                    usage.app.says(request.headers)
            case sip.ReferReceived():
                refer_came(self._board, event)

    def _reoffered(self, event: sip.OfferReceived) -> None:
        """Answer a re-INVITE or UPDATE: hold, resume, another address, another codec."""
        board, call, usage = self._board, event.usage.app, event.usage
        if not isinstance(call, Call) or call.media is None:
            board.apply(usage.refuse_offer(event.transaction, 488, "this call has no media", now=board.now))
            return
        try:
            body = call.media.accept(event.body) if event.body else call.media.offer()
        except RemoteProtocolError as error:
            board.apply(usage.refuse_offer(event.transaction, error.status, str(error), now=board.now))
            return
        board.apply(usage.answer_offer(event.transaction, body, now=board.now))
        held = call.held
        call.media.commit()
        call.media_changed()
        if held != call.held:
            call.note("hold" if call.held else "resumed", by="remote")
            call.log.info("on hold" if call.held else "resumed")
        call.says(event.request.headers)

    def _offer_answered(self, call: object, status: int, body: bytes) -> None:
        """Take the end of an offer of ours: a refused one changes nothing (RFC 3261 §14.1)."""
        if not isinstance(call, Call) or call.media is None:
            return
        if isinstance(call, InboundCall) and not call.answered:
            call.early_answered(body)
            return
        if status < 300:
            try:
                call.media.take_answer(body)
            except (RemoteProtocolError, LocalProtocolError, MediaError) as error:
                call.log.warning("the far end's SDP cannot be used; the call goes on as it was", why=str(error))
                status = 488
            else:
                call.media_changed()
        call.reoffer_ended(status)

    def _informed(self, call: object, request: Request) -> None:
        """Take an INFO that was answered already: a digit, or what the agent makes of it."""
        if not isinstance(call, Call):
            return
        info = read_digit(request)
        if info is not None:
            call.digit_heard(info.digit, "info", self._board.now, lasted_s=info.duration_ms / 1000)
        else:
            call.info_came(request)

    def _texted(self, event: sip.MessageReceived) -> None:
        """Take a text; outside a call there is nobody to read it."""
        board = self._board
        if event.usage is None:
            lines = (warning("texts are read inside calls alone"),)
            board.apply(board.ua.respond(event.transaction, 404, now=board.now, headers=lines))
        elif isinstance(event.usage.app, Call):
            event.usage.app.text_came(event.request)
