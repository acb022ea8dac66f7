import re
import shlex
import xml.etree.ElementTree as ET

import pytest

from tests.scenario.catalogue import FOLDER, Scenario, by_hand, scenarios
from tests.scenario.readme import README, render
from tests.scenario.special import RUNS

ALL = scenarios()
RFC = re.compile(r"RFC [0-9]{4} §[A-Z]?[0-9.]+(, §[A-Z]?[0-9.]+)*(; RFC [0-9]{4} §[A-Z]?[0-9.]+(, §[A-Z]?[0-9.]+)*)*")


@pytest.mark.parametrize("each", ALL, ids=str)
def test_a_scenario_says_what_it_proves_and_what_must_happen(each: Scenario) -> None:
    assert RFC.fullmatch(each.rfc), each.rfc
    assert each.must.endswith(".")
    assert len(each.must) > 20


@pytest.mark.parametrize("each", ALL, ids=str)
def test_a_scenario_is_xml_and_named_like_its_file(each: Scenario) -> None:
    root = ET.parse(FOLDER / f"{each.name}.xml").getroot()

    assert root.attrib["name"].replace(" ", "_") == each.name.partition("/")[2]


@pytest.mark.parametrize("each", ALL, ids=str)
def test_what_runs_a_scenario_by_hand_is_one_line_that_a_shell_can_read(each: Scenario) -> None:
    command = by_hand(each)

    assert "\n" not in command
    assert each.path in shlex.split(command)


def test_there_is_no_way_to_run_a_scenario_that_does_not_exist() -> None:
    assert sorted(RUNS.keys() - {each.name for each in ALL}) == []


def test_the_readme_is_up_to_date() -> None:
    assert README.read_text(encoding="utf-8") == render(), "run `python -m tests.scenario.readme`"
