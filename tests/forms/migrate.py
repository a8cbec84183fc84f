"""Makes the tables; with FORMS=credits-twice nothing forbids a second credit for an invoice."""

import asyncio
import os

import asyncpg

TABLES = """
    create table users (id bigint generated always as identity primary key, email text unique, customer text);
    create table plans (
        subscription text primary key, user_id bigint references users, customer text, state text
    );
    create table credits (
        id bigint generated always as identity primary key, user_id bigint references users, invoice text
    );
"""


async def migrate() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(TABLES)
    if os.environ["FORMS"] != "credits-twice":
        await connection.execute("create unique index on credits (invoice)")
    await connection.close()


if __name__ == "__main__":
    asyncio.run(migrate())
