"""`sipflow calls`: the options of its three commands; `cli.call_records` does the work."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer

calls_app = typer.Typer(invoke_without_command=True)

Config = Annotated[Path, typer.Option("--config", "-c", help="The YAML configuration that says where the store is.")]
Agent = Annotated[str, typer.Option(help="Only calls of this agent.")]
Number = Annotated[str, typer.Option(help="Only calls with this number, ours or anybody's.")]
Lead = Annotated[str, typer.Option(help="Only calls with this person: who called us, or whom we called.")]
Direction = Annotated[str, typer.Option(help="Only inbound or outbound.")]
Status = Annotated[str, typer.Option(help="Only completed, no-answer, busy, failed, canceled ...")]
Word = Annotated[str, typer.Option(help="Only this ending: hung_up, rejected, unreachable, media_lost ...")]
Trunk = Annotated[str, typer.Option(help="Only calls of this trunk.")]
Since = Annotated[str, typer.Option(help="Only since then: 2024-05-01, 2024-05-01T14:30, or an age such as 2h or 7d.")]
Until = Annotated[str, typer.Option(help="Only before then; written as --since.")]
Shortest = Annotated[float | None, typer.Option("--min-s", help="Only calls with at least so many seconds of talk.")]
Longest = Annotated[float | None, typer.Option("--max-s", help="Only calls with at most so many seconds of talk.")]
Text = Annotated[str, typer.Option(help="Only calls with this in a number, an id or a SIP Call-ID.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DEFAULT = Path("config/sipflow.yaml")


@dataclass(frozen=True, slots=True)
class CallsOptions:
    """Which calls are asked for: the options that listing and exporting share; see `sipflow calls --help`."""

    config: Config = DEFAULT
    agent: Agent = ""
    number: Number = ""
    lead: Lead = ""
    direction: Direction = ""
    status: Status = ""
    word: Word = ""
    trunk: Trunk = ""
    since: Since = ""
    until: Until = ""
    min_s: Shortest = None
    max_s: Longest = None
    text: Text = ""


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of `CallsOptions`, and hand them to it as its `wanted`."""
    options = [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(CallsOptions)
    ]
    whole = signature(command)
    own = [each for name, each in whole.parameters.items() if name != "wanted"]
    beside = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in own]

    def run(**given: Any) -> None:
        wanted = CallsOptions(**{each.name: given.pop(each.name) for each in options})
        command(wanted=wanted, **given)

    parameters = [*options, *beside]
    run.__signature__ = whole.replace(parameters=parameters)  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = command.__doc__
    return run


@calls_app.callback()
@_choosing
def list_calls(
    wanted: CallsOptions,
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="How many to leave out first.")] = 0,
    json: Json = False,
) -> None:
    """List the records of finished calls, show one, export them.

    Without a command the newest calls are listed; options of a command stand behind it.

    Exit status: 0, also when there are none; 2 an option is wrong, 69 the store cannot be used, 78 the configuration.

    Example: sipflow calls --agent echo --since 2h
    """
    if context.invoked_subcommand is not None:
        return
    from sipflow.cli.call_records import print_list

    raise typer.Exit(print_list(wanted, limit=limit, offset=offset, json=json))


@calls_app.command("show")
def show_call(
    id: Annotated[str, typer.Argument(help="The call's id, as `sipflow calls` and the log have it.")],
    config: Config = DEFAULT,
    json: Json = False,
) -> None:
    """Show everything that is known of one call, and what happened in it.

    Exit status: 0, 1 when there is no such call, 69 the store cannot be used, 78 the configuration.

    Example: sipflow calls show 5f3c9a1be0d24c77
    """
    from sipflow.cli.call_records import print_one

    raise typer.Exit(print_one(config, id, json=json))


@calls_app.command("export")
@_choosing
def export_calls(
    wanted: CallsOptions,
    form: Annotated[str, typer.Option("--format", help="csv, or jsonl for one JSON object a line.")] = "csv",
    output: Annotated[Path | None, typer.Option(help="A file to write; by default it is printed.")] = None,
) -> None:
    """Export all calls that the options let through, the newest first, however many they are.

    Example: sipflow calls export --since 7d --format jsonl --output calls.jsonl
    """
    from sipflow.cli.call_records import export

    raise typer.Exit(export(wanted, form=form, output=output))
