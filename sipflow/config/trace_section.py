"""`trace:` becomes what is kept of SIP messages, and who else gets them."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from pydantic import Field

from sipflow.config.fields import given, model_of, short_for
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.errors import LocalProtocolError
from sipflow.net.tracers import Settings

_HEP_KEYS: Mapping[str, str] = {"collector": "hep_collector", "agent_id": "hep_agent_id", "key": "hep_key"}


class HepModel(Model):
    """`trace.hep:`.

    Attributes:
        collector: address:port where Homer listens; nothing said sends nothing.
        agent_id: number of this sipflow among all that report there.
        key: the collector's password.
    """

    collector: str = ""
    agent_id: int = Settings().hep_agent_id
    key: str = ""


TraceModel = model_of(
    Settings,
    without=frozenset(_HEP_KEYS.values()),
    hep=(
        Annotated[HepModel, short_for("collector"), Field(description="where a copy of every message of a call goes.")],
        HepModel(),
    ),
)


def trace_settings(section: Section) -> Settings | None:
    """Return the settings, or None once their problems are reported."""
    model = section.validate(TraceModel)
    if model is None:
        return None
    values = dict(given(model))
    hep = values.pop("hep", HepModel())
    values |= {_HEP_KEYS[name]: value for name, value in given(hep).items()}
    return section.attempt(partial(_made, values))


def _made(values: Mapping[str, object]) -> Settings:
    try:
        return Settings(**values)  # type: ignore[arg-type]  # the model has checked them
    except LocalProtocolError as error:
        key, _, text = str(error).partition(":")
        written = next((f"hep.{short}" for short, name in _HEP_KEYS.items() if name == key), key)
        raise LocalProtocolError(f"{written}:{text}") from None
