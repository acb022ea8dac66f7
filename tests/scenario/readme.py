"""Writes scenarios/README.md: `python -m tests.scenario.readme` after a scenario was added or changed."""

from tests.scenario.catalogue import FOLDER, scenarios, table

README = FOLDER / "README.md"

_HEAD = """\
# SIPp scenarios

One behaviour each, {count} in all; the file's name is the sentence that it proves, and the file checks it: SIPp ends
with 0 only if it happened. [SIPp](https://sipp.readthedocs.io) is Debian's `sip-tester`, which has no TLS; TLS is
proved in tests/interop.

- `make scenarios` plays them all, side by side, in less than 90 seconds; `make scenarios ARGS='-k cancel'` those with
  cancel in their name. What fails shows SIPp's trace and our log.
- By hand, from the top folder of the project: the command in the last column. Add `-trace_msg` to see the messages.
- tests/scenario also checks what SIPp cannot see: that the agent started once, that nobody on hold is talked to, that
  every digest is right (by hashlib alone), what `sipflow call` tells a script, and that the daemon has logged no
  traceback and goes down in order. SIPp's own digests are MD5 only: our challenges in the other algorithms are
  answered by tests/scenario/test_identity.py.
- A new scenario: an XML file here that says at its top, as the others do, which RFC section it proves and what must
  happen. Only what is not run like all others goes into tests/scenario/special.py. Then
  `.venv/bin/python -m tests.scenario.readme` writes this page.

SIPp hides repeated messages and answers them by itself; where copies are the point it is started with `-nr`, which
stops both, and the scenario names every copy. A loss is written out, too, as a message that is not sent
(`lost="100"`) or not heeded, because SIPp's own loss is a matter of chance. `NEVER` is a method that does not exist: a
scenario that waits for it fails if anything else comes.
"""

_INBOUND = """\
## inbound: SIPp calls us

First, in another terminal: `.venv/bin/sipflow run scenarios/inbound.yaml` (for the scenario of silence with
`UNKNOWN_SOURCE=silent` before it).
"""

_OUTBOUND = """
## outbound: we call SIPp

`sipflow call` places the call. Its exit status is 1 where the callee is never heard, which is so unless SIPp echoes.
"""

_REGISTRAR = """
## registrar: we register with SIPp

The trunk is in registrar.yaml; Ctrl-C ends the daemon, and takes the registration back.
"""


def render() -> str:
    """The whole page."""
    parts = [
        _HEAD.format(count=len(scenarios())),
        *(_INBOUND, table("inbound")),
        *(_OUTBOUND, table("outbound")),
        *(_REGISTRAR, table("registrar")),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    README.write_text(render(), encoding="utf-8")
