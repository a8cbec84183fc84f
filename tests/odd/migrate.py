"""Makes the tables of all modes; only ``listens`` forbids a second profile of one user."""

import asyncio
import os

import asyncpg

TABLES = """
    create table profiles (user_id text not null, stripe_customer_id text);
    create table users (user_id text primary key);
    create table jobs (id bigint generated always as identity primary key, customer text);
    create table gate (id int primary key, passed bigint not null);
    insert into gate values (1, 0);
    create table accounts (user_id text, name text, balance bigint not null, primary key (user_id, name));
    create table visits (user_id text not null, page text not null);
"""


async def migrate() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(TABLES)
    unique = "unique" if os.environ["ODD"] == "listens" else ""
    await connection.execute(f"create {unique} index profiles_user_id on profiles (user_id)")
    await connection.close()


asyncio.run(migrate())
