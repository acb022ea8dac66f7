"""Reads a configuration and everything it names, so that what is wrong is said before anything runs."""

import sys
from pathlib import Path

from sipflow.agents.handlers import load as load_handler
from sipflow.config.configuration import Configuration
from sipflow.config.load import load
from sipflow.config.problems import Problems
from sipflow.errors import AgentError


def load_configuration(file: Path) -> Configuration:
    """Read a configuration file and find every agent's handler.

    Modules of `module:function` handlers are looked for in the working directory and beside the file, too.

    Raises:
        ConfigError: something cannot be used; the text tells every problem, a line each, with file, line and key.
    """
    configuration = load(file)
    for folder in (str(file.absolute().parent), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    problems = Problems()
    for spec in configuration.agents.values():
        try:
            load_handler(spec)
        except AgentError as error:
            text = str(error).removeprefix(f"agent {spec.name}: ")
            problems.add(text, line=spec.line, path=("agents", spec.name, "handler"))
    problems.raise_all(str(file))
    return configuration
