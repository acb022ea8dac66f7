"""The modules that make pages of the site: they stand beside its settings, in no package."""

import importlib.util
from functools import cache
from types import ModuleType
from typing import Any

from tests.house.tree import ROOT


@cache
def hook(name: str) -> ModuleType:
    """Load docs/site/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document of the whole API; to make it takes seconds, so no module asks when it is imported."""
    found: dict[str, Any] = hook("api_reference").document()
    return found
