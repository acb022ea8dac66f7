"""Why calls would be answered or refused, by a configuration alone."""

from pathlib import Path

from sipflow.calls.explain import hop_of
from sipflow.config.configuration import Configuration
from sipflow.config.load import parse
from sipflow.daemon.explaining import look_up, remarks_on, still_explainer
from tests.daemon.api_client import Api
from tests.interop.daemon import ANSWERED, Daemon, call
from tests.net.dns_server import dns_server

TEXT = """
trunks:
  local: {accept_from: [127.0.0.0/8], region: US}
  named: {sip_domain: pbx.test}
  gone: {sip_domain: gone.test}
numbers:
  "+12065550100": {trunk: local, inbound_agent: echo}
agents:
  echo: {handler: echo, inbound_call_webhook_url: "https://crm.example.com/in"}
"""


def configured(dns_port: int = 53) -> Configuration:
    return parse(f"{TEXT}sip: {{dns: {{servers: ['127.0.0.1:{dns_port}']}}}}\n", environ={})


def test_configuration_alone_tells_trunk_number_and_agent() -> None:
    explainer, _ = still_explainer(configured())
    found = explainer.explain_number("2065550100", hop_of("127.0.0.1"))

    assert (found.status, found.trunk, found.number, found.agent) == (200, "local", "+12065550100", "echo")
    assert [step.text for step in found.steps if step.part == "agent"] == [
        "+12065550100 -> echo",
        "agent echo is echo",
        "its inbound-call webhook is asked first: it may decline the call (603), give it variables, leave it to this "
        "agent, or give it to another one, which then must have room for it",
        "where that webhook gives no usable answer, it is refused with 480",
    ]
    assert found.why == "agent echo gets the call, and answers it unless its webhook or its code decides otherwise"


def test_remark_on_an_agent_without_webhook_is_its_handler() -> None:
    assert remarks_on("desk", "my_agents:desk", {}) == ("agent desk is my_agents:desk",)


def test_remark_on_a_webhook_names_the_agent_that_takes_calls_without_its_answer() -> None:
    said = remarks_on("desk", "echo", {"inbound_call_webhook_url": "https://crm.example.com/in"}, "reserve")

    assert said[-1] == "where that webhook gives no usable answer, reserve takes it (webhooks.default_agent)"


async def test_names_of_trunks_are_looked_up_and_those_without_an_address_are_told() -> None:
    warned: list[str] = []
    async with dns_server({("pbx.test", "A"): ["198.51.100.7"]}) as dns:
        configuration = configured(dns.port)
        explainer, table = still_explainer(configuration)
        before = explainer.explain_number("2065550100", hop_of("198.51.100.7"))
        await look_up(table, configuration, warned.append)
        after = explainer.explain_number("2065550100", hop_of("198.51.100.7"))

    assert (before.status, after.status, after.trunk) == (403, 404, "named")
    assert warned == ["trunk gone: no address for gone.test: DNS says the name does not exist"]


def test_what_a_daemon_is_asked_is_what_stands_in_its_log_and_in_the_record(tmp_path: Path) -> None:
    api = Api()
    unknown = "+12065550177"
    with Daemon(tmp_path, api=api.section) as daemon, api.wait(daemon):
        good = api.ask("POST", "/explain", {"to": ANSWERED})["response"]
        bad = api.ask("POST", "/explain", {"to": unknown})["response"]
        report = call(tmp_path, f"sip:{unknown}@127.0.0.1:{daemon.port}")
        (line,) = daemon.said("^call refused")
        past = api.ask("POST", "/explain", {"call_id": line["call"]})["response"]

    texts = [step["text"] for step in bad["steps"]]
    assert (good["answered"], good["agent"], good["codec"]) == (True, "echo", "PCMU")
    assert "there is room for it" in [step["text"] for step in good["steps"]]
    assert (bad["answered"], bad["status"], report.report["status"]) == (False, 404, 404)
    assert line["steps"][-1] == bad["why"]
    assert [text for text in line["steps"] if text not in texts] == []
    assert [step["text"] for step in past["steps"][:-1]] == line["steps"]
    assert (past["answered"], past["status"], past["why"]) == (False, 404, bad["why"])
