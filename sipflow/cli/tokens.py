"""`sipflow token`: makes, lists and revokes API tokens in the store that a configuration names."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipflow.errors import ConfigError, LocalProtocolError, NotFound, StoreError

if TYPE_CHECKING:
    from sipflow.store.tokens import Token, Tokens

token_app = typer.Typer(
    help="Make, list and revoke API tokens. Works on the store directly, whether or not the edge runs.",
    no_args_is_help=True,
)
DEFAULT = Path("config/sipflow.yaml")
_NOT_FOUND, _USAGE, _UNAVAILABLE, _CONFIG = 1, 2, 69, 78

Config = Annotated[Path, typer.Option("--config", "-c", help="The YAML configuration that says where the store is.")]


@token_app.command("create")
def create(
    name: Annotated[str, typer.Option(help="For people: who or what it is for.")] = "command line",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may be used for; repeat it: numbers:read, numbers:write, agents:read, agents:write, "
            "calls:read, calls:write, recordings:read, logs:read, logs:write, status:read, admin."
        ),
    ] = None,
    days: Annotated[float | None, typer.Option(help="Good for so many days; without it, until it is revoked.")] = None,
    config: Config = DEFAULT,
) -> None:
    """Make a token and print it, this once; without --scope it is for everything.

    Example: sipflow token create --name crm --scope calls:write --days 90
    """

    async def run(tokens: "Tokens") -> None:
        expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
        token, text = await tokens.create(name, scope or ["admin"], expires_at=expires_at)
        typer.echo(text)
        typer.echo(f"{token.id}, for {', '.join(token.scopes)}; keep the token, it is shown this once", err=True)

    _on_store(config, run)


@token_app.command("list")
def list_tokens(config: Config = DEFAULT) -> None:
    """List tokens, revoked ones too, never their texts."""

    async def run(tokens: "Tokens") -> None:
        found = await tokens.everything()
        if not found:
            typer.echo("there are no tokens yet; `sipflow token create` makes one")
        for token in found:
            typer.echo(_line(token, datetime.now(UTC)))

    _on_store(config, run)


@token_app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(help="As `sipflow token list` shows it: tok_...")], config: Config = DEFAULT
) -> None:
    """Revoke a token: within seconds it opens nothing any more.

    Example: sipflow token revoke tok_0123456789abcdef
    """

    async def run(tokens: "Tokens") -> None:
        await tokens.revoke(token_id)
        typer.echo(f"{token_id} is revoked")

    _on_store(config, run)


def _on_store(config: Path, run: Callable[["Tokens"], Awaitable[None]]) -> None:
    """Do something with the tokens of a store; say what went wrong and leave with its exit status."""
    from sipflow.config.load import load_store
    from sipflow.store.database import Database
    from sipflow.store.tokens import Tokens

    folder = config.absolute().parent

    async def opened() -> None:
        settings = load_store(config)
        if not settings.enabled:
            raise StoreError(f"{config} keeps nothing (store.enabled is false), and so no tokens")
        database = await Database.open(settings, folder=folder, make=False)
        try:
            await run(Tokens(database))
        finally:
            await database.close()

    try:
        asyncio.run(opened())
    except (ConfigError, LocalProtocolError, NotFound, StoreError) as error:
        typer.echo(f"sipflow: {error}", err=True)
        raise typer.Exit(_status(error)) from None


def _status(error: Exception) -> int:
    match error:
        case ConfigError():
            return _CONFIG
        case LocalProtocolError():
            return _USAGE
        case NotFound():
            return _NOT_FOUND
    return _UNAVAILABLE


def _line(token: "Token", now: datetime) -> str:
    state = "revoked" if token.revoked_at is not None else "good" if token.good_at(now) else "expired"
    until = f" until {token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at is not None and state == "good" else ""
    used = f"used {token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at is not None else "never used"
    return f"{token.id}  {state}{until}  {used}  {token.name}  {', '.join(token.scopes)}"
