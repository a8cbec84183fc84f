"""Every length that the protocol code accepts or keeps, with where the number comes from.

Nothing that a client or a server can send makes the code keep more than these say, times the number
of connections. Sources are Postgres 18 (``src/include/libpq/pqcomm.h``, ``src/include/libpq/libpq.h``,
``src/backend/tcop/postgres.c``) and libpq (``src/interfaces/libpq/fe-protocol3.c``).
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1 << 20

# pqcomm.h: MAX_STARTUP_PACKET_LENGTH.
STARTUP_MAX: Final = 10_000
# auth.c: PG_MAX_AUTH_TOKEN_LENGTH, the longest answer to an authentication request.
AUTH_MAX: Final = 65_535
# libpq.h: PQ_LARGE_MESSAGE_LIMIT = MaxAllocSize - 1, for Query, Parse, Bind, FunctionCall, CopyData.
MESSAGE_MAX: Final = 0x3FFFFFFE
# libpq.h: PQ_SMALL_MESSAGE_LIMIT, for what a client sends besides (SocketBackend in postgres.c).
SMALL_MESSAGE_MAX: Final = 10_000
# fe-protocol3.c: libpq takes a longer message than this for lost synchronization, unless its type is
# one that may be long (VALID_LONG_MESSAGE_TYPE).
SERVER_SMALL_MESSAGE_MAX: Final = 30_000
# Ours, for what is read whole from a server. An error quotes a statement at most, and few are this long.
SERVER_TEXT_MAX: Final = 16 * MIB
# A longer message is handed on in parts, unread. Envoy's default for per_connection_buffer_limit_bytes.
STREAM_OVER: Final = MIB
# Ours. A longer flight is not held: it is a bulk load, and one for each connection must fit into memory.
FLIGHT_MAX: Final = 64 * MIB
# Ours. 250,000 messages are an executemany of 125,000 rows in one piece.
FLIGHT_MESSAGES_MAX: Final = 250_000
# Ours. Far above libpq's pipelines, which block at a full socket buffer.
UNDER_WAY_MAX: Final = 1_000_000
# Ours, per connection; the oldest are forgotten, as with pgbouncer's max_prepared_statements.
REMEMBERED_MAX: Final = 10_000
REMEMBERED_BYTES_MAX: Final = 64 * MIB
# Ours. libpg_query recurses in C without a check of its own: 200 kB of "1+1+1…" end the process.
PARSED_MAX: Final = 16 * 1024
# As many texts as pg_stat_statements.max keeps by default.
DESCRIBED_MAX: Final = 5_000
