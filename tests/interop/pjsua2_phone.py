"""A phone made of pjsua2, in a process of its own: `python -m tests.interop.pjsua2_phone FOLDER [URI]`.

It plays FOLDER/tone.wav and records FOLDER/heard.wav. With a URI it calls; without one it says where it listens, and
answers the first call. Once it has heard enough it hangs up.
"""

import importlib
import sys
import time
from pathlib import Path
from typing import Any

_ENOUGH = 100  # packets
_PATIENCE_S = 60.0
_OK = 200


class Phone:
    """One account, one call.

    Attributes:
        over: whether the call has ended.
        talking: whether it has been answered, and not been hung up.
    """

    def __init__(self, folder: Path) -> None:
        self.over = False
        self.talking = False
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
        self.talking = info.state == self._pj.PJSIP_INV_STATE_CONFIRMED
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

    def run(self) -> None:
        """Go on until the call is over; hang up once enough was heard."""
        until = time.monotonic() + _PATIENCE_S
        while not self.over and time.monotonic() < until:
            self._endpoint.libHandleEvents(10)
            if self.talking and self._media and self._call.getStreamStat(0).rtcp.rxStat.pkt >= _ENOUGH:
                self.talking = False
                self._call.hangup(self._pj.CallOpParam(True))

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
    phone.run()
    phone.close()


if __name__ == "__main__":
    main()
