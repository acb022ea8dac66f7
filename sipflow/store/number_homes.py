"""Where numbers are at home, as it was found out once: region and town, whoever declared the number."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from sipflow.store.tables import number_places as table

if TYPE_CHECKING:
    from sipflow.store.database import Database

_LONGEST = 200


class Home(NamedTuple):
    """Where a number is at home, in English.

    Attributes:
        region: such as "WA", "" where it is not known or the country has none in its plan.
        locality: such as "Seattle", "" where the number does not tell.
    """

    region: str
    locality: str


async def read_home(database: "Database", number: str) -> Home | None:
    """Return where a number is at home, None where nobody has found out yet.

    Raises:
        StoreError: the store cannot be read.
    """
    async with database.read() as connection:
        query = select(table.c.region, table.c.locality).where(table.c.number == number)
        row = (await connection.execute(query)).first()
    return Home(*row) if row is not None else None


async def write_homes(database: "Database", homes: Mapping[str, Home], now: datetime) -> None:
    """Keep what was found out.

    Raises:
        StoreError: the store cannot be written.
    """
    rows = [
        {"number": number, "region": home.region[:_LONGEST], "locality": home.locality[:_LONGEST], "updated_at": now}
        for number, home in homes.items()
    ]
    if not rows:
        return
    insert = database.insert(table).values(rows)
    new = {name: insert.excluded[name] for name in ("region", "locality", "updated_at")}
    async with database.write() as connection:
        await connection.execute(insert.on_conflict_do_update(index_elements=["number"], set_=new))
