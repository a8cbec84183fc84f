"""The shop's schema, made where there is none."""

import asyncio
import os

import asyncpg

SCHEMA = """
create table people (id serial primary key, email text not null unique, customer text);
create table plans (subscription text primary key, customer text not null, status text not null);
"""


async def main() -> None:
    """Make it."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(SCHEMA)
    await connection.close()


asyncio.run(main())
