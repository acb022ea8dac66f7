"""A phone made of pjsua2, in a process of its own: `python -m tests.interop.pjsua2_phone FOLDER [URI]`.

It plays FOLDER/tone.wav and records FOLDER/heard.wav. With a URI it calls, and hangs up once it has heard enough;
without one it says where it listens, and answers the first call.
"""

import importlib
import sys
import time
from pathlib import Path
from typing import Any

_ENOUGH_S = 2.0  # of a call, for whoever calls
_PATIENCE_S = 30.0
_OK = 200


class Phone:
    """One account, one call.

    Attributes:
        over: whether the call has ended.
        answered_at: monotonic seconds; None before the answer.
    """

    def __init__(self, folder: Path) -> None:
        self.over = False
        self.answered_at: float | None = None
        self._folder = folder
        self._pj: Any = importlib.import_module("pjsua2")
        self._media: list[Any] = []
        self._call: Any = None
        self._endpoint = self._pj.Endpoint()
        self._endpoint.libCreate()
        config = self._pj.EpConfig()
        config.uaConfig.threadCnt = 0  # everything happens in `run`
        config.uaConfig.mainThreadOnly = True
        config.logConfig.level = config.logConfig.consoleLevel = 3
        self._endpoint.libInit(config)
        self._endpoint.audDevManager().setNullDev()
        transport = self._pj.TransportConfig()
        transport.boundAddress = transport.publicAddress = "127.0.0.1"
        number = self._endpoint.transportCreate(self._pj.PJSIP_TRANSPORT_UDP, transport)
        self._endpoint.libStart()
        self.address = self._endpoint.transportGetInfo(number).localName
        self._account = self._make_account()

    def _make_account(self) -> Any:
        phone = self
        base: Any = self._pj.Account

        class Account(base):  # type: ignore[misc]
            def onIncomingCall(self, incoming: Any) -> None:  # noqa: N802  (pjsua2's name)
                phone.take(incoming.callId)

        config = self._pj.AccountConfig()
        config.idUri = f"sip:foreign@{self.address}"
        account = Account()
        account.create(config)
        return account

    def _make_call(self, *number: int) -> Any:
        phone = self
        base: Any = self._pj.Call

        class Call(base):  # type: ignore[misc]
            def onCallState(self, _change: Any) -> None:  # noqa: N802
                phone.note(self.getInfo())

            def onCallMediaState(self, _change: Any) -> None:  # noqa: N802
                phone.connect(self)

        return Call(self._account, *number)

    def dial(self, uri: str) -> None:
        """Call."""
        self._call = self._make_call()
        self._call.makeCall(uri, self._pj.CallOpParam(True))

    def take(self, number: int) -> None:
        """Answer a call that has come in."""
        self._call = self._make_call(number)
        answer = self._pj.CallOpParam()
        answer.statusCode = _OK
        self._call.answer(answer)

    def note(self, info: Any) -> None:
        """Remember what has become of the call."""
        print(info.stateText, info.lastStatusCode, flush=True)
        if info.state == self._pj.PJSIP_INV_STATE_CONFIRMED and self.answered_at is None:
            self.answered_at = time.monotonic()
        self.over = info.state == self._pj.PJSIP_INV_STATE_DISCONNECTED

    def connect(self, call: Any) -> None:
        """Play into the call, and record what comes out."""
        audio = call.getAudioMedia(-1)
        player, recorder = self._pj.AudioMediaPlayer(), self._pj.AudioMediaRecorder()
        player.createPlayer(str(self._folder / "tone.wav"))
        recorder.createRecorder(str(self._folder / "heard.wav"))
        player.startTransmit(audio)
        audio.startTransmit(recorder)
        self._media += [player, recorder]

    def run(self, *, hang_up_after_s: float | None) -> None:
        """Go on until the call is over."""
        until = time.monotonic() + _PATIENCE_S
        leaves = False
        while not self.over and time.monotonic() < until:
            self._endpoint.libHandleEvents(10)
            answered, after = self.answered_at, hang_up_after_s
            if not leaves and answered is not None and after is not None and time.monotonic() > answered + after:
                self._call.hangup(self._pj.CallOpParam(True))
                leaves = True

    def close(self) -> None:
        """Give everything back, in the order that pjsua2 wants."""
        self._media.clear()
        self._call = None
        self._account = None
        self._endpoint.libDestroy()


def main() -> None:
    """Do what the command line says."""
    phone = Phone(Path(sys.argv[1]))
    print("listening on", phone.address, flush=True)
    if len(sys.argv) > 2:
        phone.dial(sys.argv[2])
        phone.run(hang_up_after_s=_ENOUGH_S)
    else:
        phone.run(hang_up_after_s=None)
    phone.close()


if __name__ == "__main__":
    main()
