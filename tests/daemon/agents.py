"""Agents that the daemons of these tests run."""

from sipflow.calls.inbound import InboundCall


async def forget(call: InboundCall) -> None:
    """Raise with a secret at hand, and with what the caller wrote in the words."""
    api_key = str(call.options["api_key"])
    headers = {"Authorization": f"Bearer {api_key}"}
    raise RuntimeError(f"no agent for {call.caller} after {len(headers)} try")
