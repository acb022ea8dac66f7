from sipflow.calls.toll_rules import Budget, TollRules, TollSettings
from sipflow.config.section import Section
from sipflow.config.toll_section import TollModel, toll_settings
from tests.config.sections import section_of, told


def read(text: str, **trunks: str) -> tuple[TollSettings | None, list[tuple[int, str, str]]]:
    section = section_of(text)
    said: dict[str, tuple[TollModel, Section]] = {}
    for name, below in trunks.items():
        place = section_of(below)
        model = place.validate(TollModel)
        assert model is not None
        said[name] = (model, section)
    return toll_settings(section, said), told(section)


def test_without_a_word_the_own_country_is_called() -> None:
    assert read("{}") == (TollSettings(), [])
    assert TollSettings().rules == TollRules(countries=("home",), allow=(), deny=(), premium=False)


def test_everything_said_is_in_the_settings() -> None:
    settings, problems = read(
        """
        countries: [home, CA]
        allow: "+44 20"
        deny: ["+1900"]
        premium: yes
        calls_per_minute: 60
        minutes_per_day: 2.5
        each_trunk: {calls_per_day: 1000}
        each_number: {calls_per_minute: 2}
        each_token: {calls_per_minute: 10}
        """
    )

    assert problems == []
    assert settings == TollSettings(
        rules=TollRules(("home", "CA"), ("+4420",), ("+1900",), premium=True),
        whole=Budget(60, None, 2.5),
        each_trunk=Budget(None, 1000, None),
        each_number=Budget(2, None, None),
        each_token=Budget(10, None, None),
    )


def test_a_trunk_says_what_is_different_for_it() -> None:
    settings, _ = read("deny: '+1900'", de="countries: [DE]", us="calls_per_day: 5", plain="{}")

    assert settings == TollSettings(
        rules=TollRules(deny=("+1900",)),
        trunk_rules={"de": TollRules(countries=("DE",), deny=("+1900",))},
        trunks={"us": Budget(None, 5, None)},
    )


def test_what_is_wrong_is_told_where_it_stands() -> None:
    assert read("countries: [Germany]")[1] == [
        (1, "countries", "'Germany' is no country: write home, any, or letters like DE")
    ]
    assert read("each_token: {calls_per_day: 0}")[1][0][:2] == (1, "each_token.calls_per_day")
