"""Targets that behave badly in one way each: the variable HOSTILE says in which.

GET  /healthz  answers at once
POST /sign-up  makes the user's row, once, and answers as the mode has it
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

HOSTILE = os.environ["HOSTILE"]
CRASHES_AT = LEAKS_AT = 4
SLOW_SECONDS = 0.2
CHILD = "import time; time.sleep(600)"
INSERT = "insert into profiles values ($1, 'cus_1') on conflict do nothing"
LOCK = "update gate set passed = passed + 1 where id = 1"

numbers = itertools.count(1)
kept: list[Any] = []  # connections that were leaked


async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection: one request after the other."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")),
                0,
            )
            body = await reader.readexactly(length)
            if head.startswith("POST /sign-up"):
                await sign_up(json.loads(body)["userId"], writer)
            else:
                await say(writer, b"{}")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def sign_up(user: str, writer: asyncio.StreamWriter) -> None:
    number = next(numbers)
    if HOSTILE == "crashes" and number == CRASHES_AT:
        print("it cannot go on like this", file=sys.stderr, flush=True)
        os._exit(7)
    if HOSTILE == "forks":
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, start_new_session=True)
        print("child", child.pid, flush=True)
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(INSERT, user)
    if HOSTILE == "leaks" and number == LEAKS_AT:
        await connection.execute(f"begin; {LOCK}")
        kept.append(connection)
    elif HOSTILE == "leaks":
        await connection.execute(LOCK)
    if connection not in kept:
        await connection.close()
    await ANSWERS.get(HOSTILE, well)(writer)


async def say(writer: asyncio.StreamWriter, body: bytes, headers: bytes = b"") -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (headers, len(body), body))
    await writer.drain()


async def well(writer: asyncio.StreamWriter) -> None:
    await say(writer, b'{"customer": "cus_1"}')


async def slowly(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(SLOW_SECONDS)
    await well(writer)


async def never(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drop_by_drop(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff\x16\x03 this is no HTTP \x1b[31m\r\n\r\n")
    await writer.drain()


async def huge_headers(writer: asyncio.StreamWriter) -> None:
    await say(writer, b"{}", b"x-much: %s\r\n" % (b"x" * 1_000_000))


async def half_of_json(writer: asyncio.StreamWriter) -> None:
    await say(writer, b'{"customer": "cus')


async def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


ANSWERS: dict[str, Answer] = {
    "slow": slowly,
    "hangs": never,
    "drips": drop_by_drop,
    "endless": without_end,
    "no-http": no_http,
    "huge-headers": huge_headers,
    "half-of-json": half_of_json,
    "resets": reset,
}


async def migrate() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(
        "create table profiles (user_id text primary key, stripe_customer_id text);"
        "create table gate (id int primary key, passed int); insert into gate values (1, 0)"
    )
    await connection.close()


async def serve() -> None:
    server = await asyncio.start_server(served, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


asyncio.run(migrate() if sys.argv[1:] == ["migrate"] else serve())
