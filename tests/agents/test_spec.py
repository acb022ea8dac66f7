"""What the configuration says about one agent."""

from types import MappingProxyType

from sipflow.agents.spec import AgentSpec


def test_options_are_never_shown_for_there_may_be_secrets_in_them() -> None:
    assert "geheim" not in repr(AgentSpec("desk", "my:desk", MappingProxyType({"api_key": "geheim"})))


def test_agent_that_only_moved_in_its_file_is_the_same() -> None:
    assert AgentSpec("desk", "echo", line=3) == AgentSpec("desk", "echo", line=9)
