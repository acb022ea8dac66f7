"""Tokens over the API: for whoever has the scope `admin`."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from sipflow.api.auth import Door, requires
from sipflow.api.context import InContext
from sipflow.api.envelope import Done, Enveloped
from sipflow.api.errors import documented
from sipflow.api.models.tokens import CreatedToken, CreateToken, TokenLine, TokenList
from sipflow.store.tokens import Token, Tokens

router = APIRouter(prefix="/v2/tokens", tags=["Tokens"], dependencies=[requires("admin")])
TokenId = Annotated[str, Path(max_length=80, pattern=r"^[A-Za-z0-9_:-]+$")]


@router.post("")
async def create_token(context: InContext, wanted: CreateToken) -> Enveloped[CreatedToken]:
    """Make a token. Its text is in this answer and nowhere else."""
    token, text = await Tokens(context.database).create(wanted.name, wanted.scopes, expires_at=wanted.expires_at)
    return Enveloped(response=CreatedToken(**_line(token).model_dump(), token=text))


@router.get("")
async def list_tokens(context: InContext) -> Enveloped[TokenList]:
    """List all tokens of the store, without their texts."""
    return Enveloped(response=TokenList(tokens=[_line(token) for token in await Tokens(context.database).everything()]))


@router.delete("/{token_id}", responses=documented(404))
async def revoke_token(context: InContext, request: Request, token_id: TokenId) -> Done:
    """Revoke a token: it opens nothing any more, at once; other processes learn of it within seconds."""
    await Tokens(context.database).revoke(token_id)
    door: Door = request.app.state.door
    door.forget()
    return Done()


def _line(token: Token) -> TokenLine:
    return TokenLine(
        id=token.id,
        name=token.name,
        scopes=list(token.scopes),
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        revoked_at=token.revoked_at,
    )
