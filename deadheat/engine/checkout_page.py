"""Checkout's hosted page, as small as it can be: what is to be paid, a button that pays, one that expires.

Sans-I/O: `CheckoutPages` takes a request and gives an answer, or None for a path that is not a page's.
It acts on the account as the customer would (`Account.complete_session`) and sends the browser to the
session's ``success_url``, with ``{CHECKOUT_SESSION_ID}`` filled in, or after expiry to its
``cancel_url``. Everything that the application said is escaped.

Source: Stripe docs, "How Checkout works" and "Customize redirect behavior"; "Zero-decimal currencies".
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from deadheat.errors import ActRefused
from deadheat.stripe_sim import ApiRequest, ApiResponse

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account

PATH = "/c/pay/"

_ZERO_DECIMAL = re.compile("bif|clp|djf|gnf|jpy|kmf|krw|mga|pyg|rwf|ugx|vnd|vuv|xaf|xof|xpf")
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    "x-content-type-options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem; }}
code {{ overflow-wrap: anywhere; }} form {{ display: inline; }} label {{ display: block; }}
button, input {{ font: inherit; padding: .4rem .9rem; margin: .3rem .3rem .3rem 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
<p><small>A page of Deadheat's Stripe simulator. No money moves.</small></p>
</body>
</html>
"""


class CheckoutPages:
    """The pages of one account's checkout sessions."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a browser; None when the path is not that of a page."""
        if not request.path.startswith(PATH):
            return None
        session_id = unquote(request.path.removeprefix(PATH))
        session = self._account.object("checkout.session", session_id)
        if session is None:
            return _page(404, "No such session", f"<p>There is no session <code>{escape(session_id)}</code>.")
        if request.method == "POST":
            return self._act(session, request.body)
        if request.method == "GET":
            return _page(200, "Checkout", _form(session) if session["status"] == "open" else _over(session))
        return _page(405, "Checkout", "<p>This page is for a browser: GET, and POST from its buttons.")

    def _act(self, session: dict[str, Any], body: bytes) -> ApiResponse:
        """Pay or expire the session, as the button says, and send the browser on."""
        said = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if said.get("act") == "expire":
            return self._expire(session)
        try:
            paid = self._account.complete_session(
                session["id"],
                email=said.get("email"),
                name=said.get("name"),
                promotion_code=said.get("promotion_code"),
            )
        except ActRefused as refused:
            return _page(409, "Not paid", f"<p>{escape(str(refused))}")
        return _sent_on(paid["success_url"], paid)

    def _expire(self, session: dict[str, Any]) -> ApiResponse:
        """Expire it through the API, with the account's own key."""
        call = self._account.parse(
            ApiRequest(
                method="POST",
                path=f"/v1/checkout/sessions/{quote(session['id'], safe='')}/expire",
                headers={"authorization": f"Bearer {self._account.secret_key}"},
            )
        )
        self._account.received(call)
        self._account.effect(call)
        if self._account.response(call).status != 200:
            return _page(409, "Not expired", f"<p>The session is {escape(session['status'])}.")
        return _sent_on(session["cancel_url"], {**session, "status": "expired"})


def amount(minor_units: int, currency: str) -> str:
    """Give an amount as people write it.

    >>> amount(2000, "usd"), amount(2000, "jpy")
    ('20.00 USD', '2000 JPY')
    """
    whole = str(minor_units) if _ZERO_DECIMAL.fullmatch(currency) else f"{minor_units / 100:.2f}"
    return f"{whole} {currency.upper()}"


def _form(session: dict[str, Any]) -> str:
    known = session["customer"] or session["customer_email"]
    email = (
        f"<p>For {escape(str(known))}"
        if known
        else '<p><label>E-mail <input form="pay" name="email" type="email" required></label>'
    )
    code = (
        '<p><label>Promotion code <input form="pay" name="promotion_code"></label>\n'
        if session["allow_promotion_codes"]
        else ""
    )
    cancel = session["cancel_url"]
    back = f'<p><a href="{escape(cancel)}">Back without paying</a>' if _is_web(cancel) else ""
    total, saves = session["amount_total"], session["mode"] == "setup"
    price = "Nothing to pay" if saves else amount(total, session["currency"])
    return (
        f"<p><strong>{price}</strong>, "
        f"mode {escape(session['mode'])}<br><code>{escape(session['id'])}</code>\n{email}\n{code}"
        '<p><form id="pay" method="post"><button name="act" value="pay">'
        f"{'Save the card' if saves else 'Pay'}</button></form>"
        '<form method="post"><button name="act" value="expire">Expire the session</button></form>\n' + back
    )


def _over(session: dict[str, Any]) -> str:
    return f"<p>Session <code>{escape(session['id'])}</code> is {escape(session['status'])}."


def _sent_on(url: str | None, session: dict[str, Any]) -> ApiResponse:
    """Send the browser on; where the application named no web address, say how the session stands."""
    if not _is_web(url):
        return _page(200, "Checkout", _over(session))
    assert url is not None
    filled = url.replace("{CHECKOUT_SESSION_ID}", session["id"])
    location = quote(filled, safe="%/:=&?~#+!$,;'@()*[]")
    return ApiResponse(status=303, headers={"location": location, "cache-control": "no-store"}, body=b"")


def _is_web(url: str | None) -> bool:
    return url is not None and urlsplit(url).scheme in ("http", "https")


def _page(status: int, title: str, body: str) -> ApiResponse:
    return ApiResponse(status=status, headers=_HEADERS, body=_PAGE.format(title=title, body=body).encode())
