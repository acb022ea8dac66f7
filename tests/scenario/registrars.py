"""One configuration with a trunk for each registrar: as many copies of the trunk in scenarios/registrar.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.scenario.catalogue import FOLDER, Scenario

CALLED = "a_call_to_our_registered_contact_is_answered"


def trunk_name(scenario: Scenario) -> str:
    """The trunk that registers with a scenario."""
    return scenario.name.partition("/")[2]


def write_config(path: Path, ports: Mapping[Scenario, int]) -> None:
    """Write a configuration that registers with every scenario at its port."""
    config: dict[str, Any] = yaml.safe_load((FOLDER / "registrar.yaml").read_text(encoding="utf-8"))
    pbx = config["trunks"].pop("pbx")
    for scenario, port in ports.items():
        over = ";transport=tcp" if scenario.run.over == "tcp" else ""
        config["trunks"][trunk_name(scenario)] = pbx | {"outbound_proxy": f"sip:127.0.0.1:{port}{over}"}
    if CALLED in config["trunks"]:
        config["numbers"]["2001"]["trunk"] = CALLED
    else:
        del config["numbers"]
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
