import pytest

from sipflow.sip.usage.state import earliest


@pytest.mark.parametrize(
    ("times", "first"), [((), None), ((None,), None), ((None, 3.0), 3.0), ((2.0, None, 1.0), 1.0), ((0.0, 1.0), 0.0)]
)
def test_the_earliest_of_several_moments_is_found(times: tuple[float | None, ...], first: float | None) -> None:
    assert earliest(*times) == first
