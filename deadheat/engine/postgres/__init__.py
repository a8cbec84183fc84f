"""A Postgres server to race on: our own, or one that a DSN names.

`open_postgres` gives a `PostgresServer`: where it is, and databases on it made and dropped. The
embedded server lives exactly as long as its block; on a server that a DSN names we create databases
called ``deadheat_…`` and drop them when the block ends.
"""

from deadheat.engine.postgres.dsn import Dsn
from deadheat.engine.postgres.opening import open_postgres
from deadheat.engine.postgres.server import PostgresServer

__all__ = ["Dsn", "PostgresServer", "open_postgres"]
