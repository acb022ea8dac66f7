"""Certificates and an API for the tests of this folder."""

from tests.api.conftest import api, sqlite_settings, sqlite_template
from tests.net.conftest import certificates

__all__ = ["api", "certificates", "sqlite_settings", "sqlite_template"]
