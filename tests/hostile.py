"""Texts that somebody else wrote, wherever a text is stored."""

from pathlib import Path

from support import asking

FILL = Path(__file__).with_name("hostile.sql").read_text("utf-8")


async def fill(db: str, said: list[str]) -> dict[str, str]:
    """Put each of these texts, none too long for a name, into every place; its failed job, of which the most is shown, by the text."""
    async with asking(db) as connection:
        rows = await connection.fetch(FILL, said)
    return {row["name"]: str(row["job_id"]) for row in rows}
