"""A trunk as the file says it, on top of what its profile says: key by key, and the file wins."""

from typing import TypeVar

from sipflow.config.sentences import Model
from sipflow.trunks.profiles.profile import Profile

_M = TypeVar("_M", bound=Model)


def profiled(model: _M, profile: Profile) -> _M:
    """Return what the file says of a trunk, with all that it leaves open as the profile has it.

    Args:
        model: with `sip_domain`, `outbound_proxy` and `username`.
        profile: its settings are valid for such a model.
    """
    far_end = bool(getattr(model, "sip_domain", "") or getattr(model, "outbound_proxy", ""))
    settings = profile.fitting(username=bool(getattr(model, "username", "")), far_end=far_end)
    if not settings:
        return model
    spelled = {key: {"enabled": value} if key == "register" else value for key, value in settings.items()}
    return _over(model, type(model).model_validate(spelled))


def _over(model: _M, base: _M) -> _M:
    values = {name: getattr(base, name) for name in base.model_fields_set}
    for name in model.model_fields_set:
        own, theirs = getattr(model, name), values.get(name)
        values[name] = _over(own, theirs) if isinstance(own, Model) and isinstance(theirs, Model) else own
    if "enabled" in type(model).model_fields:
        values["enabled"] = getattr(model, "enabled", True)  # to say something of it is to switch it on
    return model.model_copy(update=values)
