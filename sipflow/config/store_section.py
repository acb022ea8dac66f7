"""`store:` becomes the settings of the store."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from pydantic import Field

from sipflow.config.fields import Texts, given, model_of
from sipflow.config.section import Section
from sipflow.store.settings import Settings

KEY_VARIABLE = "SIPFLOW_STORE_KEY"  # the key where the file has none; an old one may stand behind it
_BETWEEN = re.compile(r"[\s,]+")

_KEY = (
    "what passwords and tokens are encrypted with; of several the first encrypts and all decrypt. Nothing said is "
    "the variable SIPFLOW_STORE_KEY, else one that is made and kept beside SQLite's file."
)

StoreModel = model_of(
    Settings,
    without=frozenset({"encryption_keys"}),
    encryption_key=(Annotated[Texts, Field(description=_KEY)], ()),
)


def store_settings(section: Section, *, environ: Mapping[str, str]) -> Settings | None:
    """Return the store's settings, or None once their problems are reported."""
    model = section.validate(StoreModel)
    if model is None:
        return None
    values = dict(given(model))
    keys = values.pop("encryption_key", ()) or _BETWEEN.split(environ.get(KEY_VARIABLE, "").strip())
    return section.attempt(partial(Settings, encryption_keys=tuple(key for key in keys if key), **values))
