"""The commands that ask why, and try things out: explain, trunk test, firewall, load; other modules do the work."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from sipflow.errors import ConfigError, LocalProtocolError, SipflowError

_USAGE, _UNREACHABLE, _UNAVAILABLE, _CONFIG = 2, 5, 69, 78
_FILE = Path("config/sipflow.yaml")

Config = Annotated[Path, typer.Option("--config", "-c", help="The YAML configuration.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

trunk_app = typer.Typer(no_args_is_help=True, help="Try a trunk out.")


def explain(
    what: Annotated[
        str, typer.Argument(help="A file with the text of an INVITE, or the id of a call that was.", show_default=False)
    ] = "",
    to: Annotated[str, typer.Option(help="Instead: a call to this number, as the far end writes it.")] = "",
    source: Annotated[
        str, typer.Option("--from", help="Where it comes from: 198.51.100.7, or tls:198.51.100.7:5061.")
    ] = "",
    config: Config = _FILE,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no daemon: the configuration alone.")] = False,
    json: Json = False,
) -> None:
    """Say what becomes of a call and why, step by step, without placing one.

    The running daemon is asked over its API; where none can be asked, the configuration is read, or its store.

    Exit status: 0 it would be answered, or was; 1 it would be refused, or was; 2 the command line is wrong,
    69 neither daemon nor store can be used, 77 the token is not good for it, 78 the configuration cannot be used.

    Example: sipflow explain --to +12065550100 --from 127.0.0.1
    """
    from sipflow.cli.explain import ExplainOptions, run_explain

    raise typer.Exit(_guarded(lambda: run_explain(ExplainOptions(what, to, source, config, offline, json))))


@trunk_app.command("test")
def try_trunk(
    name: Annotated[str, typer.Argument(help="The trunk's name in the configuration.")],
    config: Config = _FILE,
    dial: Annotated[str, typer.Option(help="A number that gives back what it hears: a call is placed to it.")] = "",
    register: Annotated[bool, typer.Option(help="Whether to register, and take our Contact back.")] = True,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds that an answer may take.")] = 5.0,
    ring_s: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds that the echo may ring.")] = 20.0,
    json: Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every SIP message.")] = False,
) -> None:
    """Try a trunk step by step: its name in DNS, connection, certificate, OPTIONS, registration, NAT, a call.

    Exit status: 0 it works, 1 a step failed, 2 the command line is wrong, 5 nobody was reached,
    78 the configuration cannot be used.

    Example: sipflow trunk test pbx --dial 600
    """
    from sipflow.cli.trunk_test import TrunkTestOptions, run_trunk_test

    wanted = TrunkTestOptions(name, config, dial, register, timeout, ring_s, json, verbose)
    raise typer.Exit(_guarded(lambda: run_trunk_test(wanted)))


@trunk_app.callback()
def _trunk() -> None:
    """Keep `test` a command of its own, though it is the only one."""


def firewall(
    file: Annotated[Path, typer.Argument(help="The YAML configuration.")] = _FILE,
    form: Annotated[str, typer.Option("--format", help="text, json, nft or ufw.")] = "text",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Say what a firewall must let through: listeners, audio, trunks by their addresses of now, HTTP.

    Exit status: 0, 2 the command line is wrong, 78 the configuration cannot be used.

    Example: sipflow firewall config/sipflow.yaml --format nft
    """
    from sipflow.cli.firewall import run_firewall

    raise typer.Exit(_guarded(lambda: run_firewall(file, "json" if json else form)))


def load(
    uri: Annotated[str, typer.Argument(help="Whom to call, as in sip:+12065550100@127.0.0.1:5060.")],
    calls: Annotated[int, typer.Option(min=1, max=100_000, help="How many calls.")] = 10,
    rate: Annotated[float, typer.Option(help="How many of them to begin in a second.")] = 5.0,
    seconds: Annotated[float, typer.Option(help="How long to stay in each.")] = 5.0,
    caller: Annotated[str, typer.Option("--from", help="Who calls: a SIP URI or a user part.")] = "sipflow",
    proxy: Annotated[str, typer.Option(help="Outbound proxy: where to send the calls, whatever the URI says.")] = "",
    username: Annotated[str, typer.Option(help="Answers a challenge; the password is in SIPFLOW_PASSWORD.")] = "",
    listen: Annotated[str, typer.Option(help="Our own address; by default whatever reaches the far end.")] = "",
    codec: Annotated[list[str] | None, typer.Option(help="PCMU, G722, opus ...; repeat it, best first.")] = None,
    ring_s: Annotated[float, typer.Option(help="How long to let each ring.")] = 20.0,
    min_mos: Annotated[float, typer.Option(help="The mean opinion score that the worst call must have.")] = 3.5,
    max_failed: Annotated[int, typer.Option(min=0, help="How many calls may fail.")] = 0,
    json: Json = False,
) -> None:
    """Place many calls with audio from this process, and say how they went.

    Exit status: 0 all answered, heard and sounding well; 1 some were not; 2 the command line is wrong; 5 none answered.

    Example: sipflow load sip:+12065550100@127.0.0.1:5060 --calls 20 --rate 10 --seconds 3
    """
    from sipflow.cli.load import LoadOptions, run_load
    from sipflow.cli.plan import CallOptions

    each = CallOptions(
        uri=uri,
        seconds=seconds,
        caller=caller,
        proxy=proxy,
        username=username,
        listen=listen,
        codecs=tuple(name.upper() for name in codec or ()),
        ring_s=ring_s,
        json=json,
    )
    wanted = LoadOptions(each, calls=calls, rate=rate, min_mos=min_mos, max_failed=max_failed)
    raise typer.Exit(_guarded(lambda: run_load(wanted), other=_UNREACHABLE))


def _guarded(run: Callable[[], int], *, other: int = _UNAVAILABLE) -> int:
    """Do something; say what went wrong, and return its exit status."""
    try:
        return run()
    except SipflowError as error:
        typer.echo(f"sipflow: {error}", err=True)
        if isinstance(error, LocalProtocolError):
            return _USAGE
        if isinstance(error, ConfigError):
            return _CONFIG
        return int(getattr(error, "status", 0) or other)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (explain, firewall, load):
        app.command()(command)
    app.add_typer(trunk_app, name="trunk")
