"""`recordings:` becomes what the recorder of calls is told."""

from functools import partial

from sipflow.calls.recorder import Settings
from sipflow.config.fields import given, model_of
from sipflow.config.section import Section

RecordingModel = model_of(Settings)
_DEFAULTS = Settings()


def recording_settings(section: Section) -> Settings | None:
    """Return the recordings' settings, or None once their problems are reported.

    A relative folder starts where the configuration is, whether or not the file names one.
    """
    model = section.validate(RecordingModel)
    if model is None:
        return None
    values = dict(given(model))
    values["folder"] = str(section.folder / values.get("folder", _DEFAULTS.folder))
    return section.attempt(partial(Settings, **values))
