"""Values with {variables} of the call in them."""

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_.-]{0,99})\}")
_DOUBLED = {"{{": "{", "}}": "}"}


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Put the call's values in the place of `{name}`; a name that the call does not have leaves nothing.

    A doubled brace stands for one; other braces are text.
    """
    return _VARIABLE.sub(lambda found: _DOUBLED.get(found[0]) or variables.get(found[1], ""), text)
