"""Music from the web: heard as soon as it is there, fetched once in a call, and missed by nobody where it is not."""

import asyncio

import structlog

from sipflow.audio.wav import wav_header
from sipflow.calls.call import Call
from sipflow.calls.transfer.music import is_address
from sipflow.errors import MediaError
from tests.calls.outstage import rings_on
from tests.calls.transfer.scene import MUSIC_HZ, WHISPER_HZ, Ear, Scene, scene, tone

URL = "https://music.example/wait.wav?key=secret"


class Web:
    """What is on the web: one sound, once it may be had."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.asked: list[str] = []
        self.open = asyncio.Event()

    def check(self, url: str) -> None:
        """Find nothing wrong with it."""

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        await self.open.wait()
        if self.content is None:
            raise MediaError("it answers 404")
        return self.content


def test_only_what_begins_as_a_url_is_one() -> None:
    given = ["https://a/b", "HTTP://a/b", "http.wav", "sounds/https.wav", b"https://a/b", None]
    assert [is_address(each) for each in given] == [True, True, False, False, False, False]


async def test_the_usual_is_heard_until_the_music_is_there_which_is_fetched_once_in_a_call() -> None:
    sound = tone(MUSIC_HZ, 0.4)
    web = Web(wav_header(len(sound)) + sound)

    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.music = tone(WHISPER_HZ, 0.4)
        stage.near.switchboard.transfers.fetcher = web
        await call.answer()
        for _ in range(2):
            stage.outcomes.append(await call.transfer(stage.uri("bob"), mode="warm", music=URL))
        await call.ended()

    async with scene(agent, bob=rings_on) as stage:
        ear = Ear(await stage.call())
        await ear.comes_to_hear(WHISPER_HZ)
        web.open.set()
        await ear.comes_to_hear(MUSIC_HZ)
        stage.agent.calls[-1].take_back()
        async with asyncio.timeout(10):
            while len(stage.people["bob"].calls) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        again = await ear.hears()
        stage.home.switchboard.hang_up_all()
        await stage.quiet()

    assert again == {MUSIC_HZ}
    assert web.asked == [URL]


async def test_music_that_cannot_be_had_or_read_costs_a_line_in_the_log_and_no_caller() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.music = tone(WHISPER_HZ, 0.4)
        await call.answer()
        for fetcher in (None, Web(None), Web(b"<html>no such page</html>")):
            stage.near.switchboard.transfers.fetcher = fetcher
            if fetcher is not None:
                fetcher.open.set()
            stage.outcomes.append(await call.transfer(stage.uri("bob"), mode="warm", music=URL))
        await call.ended()

    with structlog.testing.capture_logs() as lines:
        async with scene(agent, bob=rings_on) as stage:
            ear = Ear(await stage.call())
            for count in (1, 2, 3):
                async with asyncio.timeout(10):
                    while sum("music" in line["event"] for line in lines) < count:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                await ear.comes_to_hear(WHISPER_HZ)
                stage.agent.calls[-1].take_back()
            stage.home.switchboard.hang_up_all()
            await stage.quiet()

    said = [(line["log_level"], line["why"]) for line in lines if "music" in line["event"]]
    assert said[:2] == [
        ("warning", "nobody here can fetch it: the store is not open"),
        ("warning", "it answers 404"),
    ]
    assert said[2][1].startswith("what came cannot be played: ")
    assert "secret" not in str(lines)
