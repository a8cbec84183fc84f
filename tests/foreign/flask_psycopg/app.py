"""A naive sign-up in Flask and psycopg 3: look first, act later.

gunicorn runs it in processes with threads; each process has a pool of its own. The Stripe SDK is the
synchronous one. With TRUTH=1 each statement says at its end which request it is of.
"""

from __future__ import annotations

import os
import re

from flask import Flask, request
from psycopg_pool import ConnectionPool
from stripe import StripeClient

app = Flask(__name__)
pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=4, open=True)
stripe = StripeClient(
    os.environ["STRIPE_SECRET_KEY"], base_addresses={"api": os.environ["STRIPE_API_BASE"]}
).v1


@app.get("/healthz")
def healthz() -> str:
    with pool.connection() as connection:
        connection.execute("SELECT 1")
    return "ok"


@app.post("/sign-up")
def sign_up() -> dict[str, str]:
    body = request.get_json()
    user, email = body["userId"], body["email"]
    with pool.connection() as connection:
        found = connection.execute(
            truly("SELECT stripe_customer_id FROM profiles WHERE user_id = %s"), (user,)
        ).fetchone()
    if found:
        return {"stripeCustomerId": found[0]}
    customer = stripe.customers.create({"email": email, "metadata": {"user_id": user}}).id
    with pool.connection() as connection:
        connection.execute(
            truly("INSERT INTO profiles (user_id, email, stripe_customer_id) VALUES (%s, %s, %s)"),
            (user, email, customer),
        )
    return {"stripeCustomerId": customer}


def truly(sql: str) -> str:
    """Add the request's span to a statement, where the truth is asked for."""
    span = re.fullmatch(r"00-[0-9a-f]{32}-([0-9a-f]{16})-01", request.headers.get("traceparent", ""))
    return f"{sql} /* truth={span[1]} */" if span and os.environ.get("TRUTH") == "1" else sql
