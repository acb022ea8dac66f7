"""The command line: each command's options, and which module does the work.

Modules are imported where they are used: `sipflow --help` should not wait for what `sipflow run` needs.
"""

from pathlib import Path
from typing import Annotated

import typer

from sipflow import full_version
from sipflow.cli import ask_commands
from sipflow.cli.calls import calls_app
from sipflow.cli.edge_commands import add_to
from sipflow.cli.tokens import token_app
from sipflow.errors import ConfigError, LocalProtocolError, SipflowError

app = typer.Typer(
    name="sipflow",
    help="An AI voice agent on any phone number you already own: run the edge, check its configuration, place a call.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(calls_app, name="calls")
app.add_typer(token_app, name="token")

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h: the configuration, not the program, is at fault
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE: a port is taken, an address is not ours


def main() -> None:
    """Run the command line and exit with its status."""
    app()


def _fail(error: SipflowError, status: int) -> typer.Exit:
    typer.echo(f"sipflow: {error}", err=True)
    return typer.Exit(status)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sipflow {full_version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Take what comes before the command."""


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="The YAML configuration.")] = Path("config/sipflow.yaml"),
) -> None:
    """Run the edge until it is told to stop.

    SIGTERM or Ctrl-C: take no more calls, wait for live ones (drain_s), un-register, exit 0; a second does not wait.
    SIGHUP: read trunks, numbers and agents again without touching live calls.

    Exit status: 0 it was told to stop, 69 an address or something else that it needs cannot be had, 78 the
    configuration cannot be used.

    Example: sipflow run config/sipflow.yaml
    """
    from sipflow.daemon.daemon import run_daemon

    try:
        run_daemon(file)
    except ConfigError as error:
        raise _fail(error, EXIT_CONFIG) from None
    except SipflowError as error:
        raise _fail(error, EXIT_UNAVAILABLE) from None


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The YAML configuration.")] = Path("config/sipflow.yaml"),
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of configurations, for editors, and do no more.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Say whether a configuration can be used, and what is wrong with file and line if not.

    Exit status: 0 it can, 78 it cannot.

    Example: sipflow check config/sipflow.yaml
    """
    from json import dumps

    if schema:
        from sipflow.config.reference import json_schema

        typer.echo(dumps(json_schema(), indent=2))
        raise typer.Exit
    from sipflow.daemon.greeting import describe
    from sipflow.daemon.loading import load_configuration

    try:
        configuration = load_configuration(file)
    except ConfigError as error:
        if not json:
            raise _fail(error, EXIT_CONFIG) from None
        wrong = [{"line": each.line, "key": each.key, "why": each.message} for each in (error, *error.others)]
        typer.echo(dumps({"file": str(file), "good": False, "wrong": wrong}, indent=2))
        raise typer.Exit(EXIT_CONFIG) from None
    lines = describe(configuration)
    if json:
        typer.echo(dumps({"file": str(file), "good": True, "means": lines}, indent=2))
        return
    for line in lines:
        typer.echo(line)
    typer.echo(f"{file} is good")


@app.command()
def call(
    uri: Annotated[
        str, typer.Argument(help="Whom to call, as in sip:+12065550100@127.0.0.1:5060 or tel:+12065550100.")
    ],
    play: Annotated[Path | None, typer.Option(help="A WAV file to play.")] = None,
    tone: Annotated[int, typer.Option(help="Frequency of the tone played without a file, in Hz.")] = 440,
    seconds: Annotated[float, typer.Option(help="How long to stay in an answered call.")] = 5.0,
    caller: Annotated[str, typer.Option("--from", help="Who calls: a SIP URI or a user part.")] = "sipflow",
    proxy: Annotated[str, typer.Option(help="Outbound proxy: where to send the call, whatever the URI says.")] = "",
    username: Annotated[str, typer.Option(help="Answers a challenge; the password is in SIPFLOW_PASSWORD.")] = "",
    listen: Annotated[str, typer.Option(help="Our own address; by default whatever reaches the far end.")] = "",
    codec: Annotated[list[str] | None, typer.Option(help="PCMU, G722, opus ...; repeat it, best first.")] = None,
    srtp: Annotated[str, typer.Option(help="Encrypted audio: off, optional or required.")] = "off",
    srtp_keys: Annotated[str, typer.Option(help="How its keys are made: sdes or dtls.")] = "sdes",
    digits: Annotated[str, typer.Option(help="DTMF digits to send once it is answered.")] = "",
    header: Annotated[list[str] | None, typer.Option(help="A further header line, such as 'X-Order: 17'.")] = None,
    record: Annotated[Path | None, typer.Option(help="A WAV file to write what is heard into.")] = None,
    ring_s: Annotated[float, typer.Option(help="How long to let it ring.")] = 60.0,
    ca: Annotated[str, typer.Option(help="PEM file of the authority to trust for TLS.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end instead of lines.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every SIP message.")] = False,
) -> None:
    """Place a call, play a tone or a file, and say how it went.

    Exit status: 0 answered and heard, 1 answered but nothing was heard, 3 refused, 4 not answered in time,
    5 not reachable, 2 the command line is wrong.

    Example: sipflow call sip:+12065550100@127.0.0.1:5060 --seconds 3
    """
    from sipflow.cli.call import run_call
    from sipflow.cli.plan import CallOptions

    wanted = CallOptions(
        uri=uri,
        play=play,
        tone_hz=tone,
        seconds=seconds,
        caller=caller,
        proxy=proxy,
        username=username,
        listen=listen,
        codecs=tuple(name.upper() for name in codec or ()),
        srtp=srtp.lower(),
        srtp_keys=srtp_keys.lower(),
        digits=digits.upper(),
        headers=tuple(header or ()),
        record=record,
        ring_s=ring_s,
        ca=ca,
        json=json,
        verbose=verbose,
    )
    try:
        status = run_call(wanted)
    except LocalProtocolError as error:
        raise _fail(error, 2) from None
    except SipflowError as error:
        raise _fail(error, 5) from None
    raise typer.Exit(status)


add_to(app)
ask_commands.add_to(app)
