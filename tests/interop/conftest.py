from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.kamailio import Kamailio
from tests.net.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return make_certificates(folder)


@pytest.fixture(scope="session")
def pbx(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Kamailio]:
    """A Kamailio for all tests that leave it running."""
    with Kamailio(tmp_path_factory.mktemp("pbx"), certificates) as kamailio:
        yield kamailio
