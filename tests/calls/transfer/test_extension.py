import asyncio

import pytest

from sipflow.calls.transfer.extension import Step, press, read_extension
from sipflow.errors import LocalProtocolError
from sipflow.testing import FakeCall


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        ("123#", (Step(0.0, "123#"),)),
        ("ww123#", (Step(1.0, "123#"),)),
        ("W1,2w", (Step(1.0, "1"), Step(2.0, "2"), Step(0.5, ""))),
        ("1 2 a", (Step(0.0, "12A"),)),
    ],
)
def test_keys_and_pauses_are_read(text: str, steps: tuple[Step, ...]) -> None:
    assert read_extension(text) == steps


@pytest.mark.parametrize("text", ["x1", "1-2", "1" * 65, "1\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^extension: "):
        read_extension(text)


async def test_keys_are_pressed_after_their_pauses() -> None:
    call = FakeCall(direction="outbound")
    began = asyncio.get_running_loop().time()
    await press(call, read_extension("w12w3"))

    assert call.digits_sent == "123"
    assert asyncio.get_running_loop().time() - began >= 0.99
