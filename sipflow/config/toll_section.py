"""`tolls:`, and what single trunks say under it, become the rules and budgets of calls out."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from sipflow.calls.toll_rules import NO_BUDGET, Budget, TollRules, TollSettings
from sipflow.config.fields import Texts, short_for
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.errors import LocalProtocolError

_Count = Annotated[int, Field(ge=1, le=1_000_000)] | None
_RULES = ("countries", "allow", "deny", "premium")


class BudgetModel(Model):
    """How much may be called.

    Attributes:
        calls_per_minute: calls placed a minute; nothing said is no limit.
        calls_per_day: calls placed a day; nothing said is no limit.
        minutes_per_day: minutes talked a day; nothing said is no limit.
    """

    calls_per_minute: _Count = None
    calls_per_day: _Count = None
    minutes_per_day: Annotated[float, Field(gt=0, le=1_000_000)] | None = None

    @property
    def budget(self) -> Budget:
        """As the calls room has it."""
        return Budget(self.calls_per_minute, self.calls_per_day, self.minutes_per_day)


class TollModel(BudgetModel):
    """`trunks.<name>.tolls`.

    Attributes:
        countries: that may be called, two letters each; `home` is the trunk's own.
        allow: beginnings of numbers that may be called all the same.
        deny: beginnings of numbers that may not be called in any case.
        premium: whether premium rate, shared cost, personal and satellite numbers may be called.
    """

    countries: Texts = ("home",)
    allow: Texts = ()
    deny: Texts = ()
    premium: bool = False

    @property
    def rules(self) -> dict[str, Any]:
        """What is said of where calls may go."""
        return {name: getattr(self, name) for name in _RULES if name in self.model_fields_set}


class TollsModel(TollModel):
    """`tolls:`.

    Attributes:
        each_trunk: what each trunk may that says nothing of its own.
        each_number: what each number may.
        each_token: what each client of the API may.
    """

    each_trunk: BudgetModel = BudgetModel()
    each_number: BudgetModel = BudgetModel()
    each_token: BudgetModel = BudgetModel()


TrunkTolls = Annotated[TollModel | None, short_for("countries")]


def toll_settings(section: Section, trunks: Mapping[str, tuple[TollModel, Section]]) -> TollSettings | None:
    """Return rules and budgets, or None once their problems are reported.

    Args:
        section: `tolls:`.
        trunks: what single trunks say of their own, by name, and where; the rest of their rules is that of `tolls:`.
    """
    model = section.validate(TollsModel)
    rules = section.attempt(partial(TollRules, **model.rules)) if model is not None else None
    if model is None or rules is None:
        return None
    own = {name: _own(said, place, model.rules) for name, (said, place) in trunks.items() if said.rules}
    return TollSettings(
        rules=rules,
        trunk_rules=MappingProxyType({name: each for name, each in own.items() if each is not None}),
        whole=model.budget,
        each_trunk=model.each_trunk.budget,
        each_number=model.each_number.budget,
        each_token=model.each_token.budget,
        trunks=MappingProxyType({name: said.budget for name, (said, _) in trunks.items() if said.budget != NO_BUDGET}),
    )


def _own(said: TollModel, place: Section, common: Mapping[str, Any]) -> TollRules | None:
    def make() -> TollRules:
        try:
            return TollRules(**{**common, **said.rules})
        except LocalProtocolError as error:
            raise LocalProtocolError(f"tolls.{error}") from None

    return place.attempt(make)
