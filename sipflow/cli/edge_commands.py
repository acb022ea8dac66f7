"""The commands that ask the running daemon over its API: their options; `cli.edge_tables` does the work."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        help="The daemon's configuration: says where its API is. SIPFLOW_URL and SIPFLOW_TOKEN go first.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT = Path("config/sipflow.yaml")


def status(config: Config = DEFAULT, json: Json = False) -> None:
    """Say how the running edge is: whether it can take calls and why not, its calls, its trunks.

    Exit status: 0 all is well, 1 something is not, 69 the daemon cannot be reached, 77 the token is not good for it,
    78 the configuration does not say where it is.

    Example: sipflow status
    """
    from sipflow.cli.edge_tables import asked, print_status

    raise typer.Exit(asked(config, lambda client: print_status(client, json=json)))


def trunks(config: Config = DEFAULT, json: Json = False) -> None:
    """List the trunks of the running edge, with how their registrations and their far ends are, and why.

    Exit status: 0, 1 a registration has failed or a far end is down, 69, 77 and 78 as for `sipflow status`.

    Example: sipflow trunks --json
    """
    from sipflow.cli.edge_tables import asked, print_trunks

    raise typer.Exit(asked(config, lambda client: print_trunks(client, json=json)))


def numbers(config: Config = DEFAULT, json: Json = False) -> None:
    """List the numbers of the running edge, and who answers them.

    Exit status: 0, 69, 77 and 78 as for `sipflow status`.

    Example: sipflow numbers
    """
    from sipflow.cli.edge_tables import asked, print_numbers

    raise typer.Exit(asked(config, lambda client: print_numbers(client, json=json)))


def agents(config: Config = DEFAULT, json: Json = False) -> None:
    """List the agents of the running edge, their handlers and their numbers.

    Exit status: 0, 69, 77 and 78 as for `sipflow status`.

    Example: sipflow agents
    """
    from sipflow.cli.edge_tables import asked, print_agents

    raise typer.Exit(asked(config, lambda client: print_agents(client, json=json)))


def trace(
    call: Annotated[
        str, typer.Argument(help="The call's id, as the log and `sipflow calls` have it; `last` for the newest.")
    ],
    full: Annotated[bool, typer.Option("--full", help="Print every message whole instead of the ladder.")] = False,
    pcap: Annotated[Path | None, typer.Option(help="Write a capture file for Wireshark or sngrep.")] = None,
    evidence: Annotated[
        Path | None, typer.Option(help="Write all that is known of the call into one zip file.")
    ] = None,
    config: Config = DEFAULT,
    json: Json = False,
) -> None:
    """Draw the SIP messages of a call as a ladder: every attempt, and the calls on its behalf.

    Passwords, digest proofs, media keys and digits are hidden.

    Exit status: 0, 1 there is no such call or nothing is kept of it, 69, 77 and 78 as for `sipflow status`.

    Example: sipflow trace last --pcap call.pcap
    """
    from sipflow.cli.edge_tables import asked, print_trace

    raise typer.Exit(
        asked(config, lambda client: print_trace(client, call, full=full, json=json, pcap=pcap, evidence=evidence))
    )


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (status, trunks, numbers, agents, trace):
        app.command()(command)
