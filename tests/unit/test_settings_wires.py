"""What of a target that runs already is ours: ports, a key and a secret, and what they need beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.errors import Refused, SettingsError
from deadheat.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

URL = '[target]\nbase-url = "http://127.0.0.1:8000"\n'
HOOK = '[target.webhook]\npath = "/hook"\n'
CREDITS = '[[target.webhooks]]\nname = "credits"\npath = "/credits"\n'
DSN = 'postgres = "postgresql://me@127.0.0.1/app"\n'
STRIPE = 'stripe-port = 12113\nstripe-key = "sk_test_x"\n'


def load(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "deadheat.toml").write_text(text)
    return load_settings(options={}, environ=environ, cwd=folder)


def test_a_file_may_give_all_of_them(tmp_path: Path) -> None:
    whole = DSN + STRIPE + 'webhook-secret = "whsec_x"\npostgres-port = 15432\n' + URL + HOOK
    settings = load(tmp_path, whole)
    assert (settings.stripe_port, settings.postgres_port) == (12113, 15432)
    assert (settings.stripe_key, settings.webhook_secret) == ("sk_test_x", "whsec_x")


def test_each_endpoint_may_have_a_secret_of_its_own(tmp_path: Path) -> None:
    text = STRIPE + URL + HOOK + 'secret = "${BILLING_SECRET}"\n' + CREDITS + 'secret = "whsec_c"\n'
    settings = load(tmp_path, text, BILLING_SECRET="whsec_b")
    assert [hook.secret for hook in settings.target.webhooks] == ["whsec_b", "whsec_c"]


def test_the_environment_may_give_them_and_a_url_has_them_from_there(tmp_path: Path) -> None:
    given = {"DEADHEAT_STRIPE_PORT": "1", "DEADHEAT_STRIPE_KEY": "sk_test_y"}
    settings = load(tmp_path, URL, DEADHEAT_TARGET="http://127.0.0.1:1", DEADHEAT_WEBHOOK_SECRET="w", **given)
    assert (settings.stripe_port, settings.stripe_key, settings.webhook_secret) == (1, "sk_test_y", "w")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stripe-port = 1\n" + URL, r"stripe-port: .*stripe-key \(DEADHEAT_STRIPE_KEY\)"),
        (STRIPE + URL + HOOK, r"stripe-port: .*for /hook .*webhook-secret \(DEADHEAT_WEBHOOK_SECRET\)"),
        (STRIPE + URL + HOOK + 'secret = "whsec_x"\n' + CREDITS, r"stripe-port: .*for /credits are signed"),
        (STRIPE + "postgres-port = 1\n" + URL, r"postgres-port: .*--postgres DSN"),
        (DSN + "postgres-port = 1\n" + URL, r"postgres-port: .*--stripe-port is needed"),
        (STRIPE + '[target]\nstart = "serve"\n', "stripe-port: Deadheat starts this target"),
        ("stripe-port = 70000\n" + URL, "a whole number from 1 to 65535"),
    ],
)
def test_what_is_missing_beside_them_is_said(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=says):
        load(tmp_path, text)


def test_a_live_key_is_none_to_be_started_with(tmp_path: Path) -> None:
    live = "sk_" + "live_x"
    with pytest.raises(Refused, match="stripe-key holds a live Stripe key"):
        load(tmp_path, STRIPE.replace("sk_test_x", live) + URL)
    with pytest.raises(Refused, match="DEADHEAT_STRIPE_KEY holds a live"):
        load(tmp_path, URL, DEADHEAT_STRIPE_KEY=live)
