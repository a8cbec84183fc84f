"""One webhook or several: names, secrets, and what is said of mistakes in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.errors import SettingsError
from deadheat.settings import TargetSettings, WebhookSettings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

CREDITS = "[[target.webhooks]]\nname = 'credits'\npath = '/credits'\n"


def target(folder: Path, text: str, top: str = "") -> TargetSettings:
    """Read a target of this text."""
    (folder / "deadheat.toml").write_text(f"[target]\nstart = 'serve'\n{top}\n{text}", encoding="utf-8")
    return load_settings(options={}, environ={}, cwd=folder).target


def test_several_beside_the_first(tmp_path: Path) -> None:
    more = "types = ['invoice.paid']\napi-version = '2025-09-30.clover'\n"
    read = target(
        tmp_path,
        "[target.webhook]\npath = '/billing'\n" + CREDITS + more,
        "env = { A = '{stripe.webhook-secret}', B = '{stripe.webhook-secret.credits}' }",
    )
    assert read.webhooks == (
        WebhookSettings(path="/billing"),
        WebhookSettings(
            name="credits", path="/credits", types=("invoice.paid",), api_version="2025-09-30.clover"
        ),
    )
    assert read.events_version is None


def test_the_first_of_several_may_have_a_name_too(tmp_path: Path) -> None:
    read = target(tmp_path, CREDITS + CREDITS.replace("credits", "mails"))
    assert read.webhooks[0] == WebhookSettings(name="credits", path="/credits")
    assert [hook.name for hook in read.webhooks] == ["credits", "mails"]


@pytest.mark.parametrize(
    ("text", "top", "says"),
    [
        ("[[target.webhooks]]\npath = '/a'", "", "[target.webhooks[0]] needs name."),
        ("[[target.webhooks]]\nname = 'A b'\npath = '/a'", "", "name: should be a name in kebab-case"),
        ("[[target.webhooks]]\nname = 'a'\npath = '/a'\npth = ''", "", 'no key "pth". Did you mean "path"?'),
        ("[target.webhooks]\npath = '/a'", "", "target.webhooks: should be a list of tables, at least one"),
        (CREDITS + CREDITS, "", "webhooks[1].name: there are two webhooks called credits."),
        (
            "[target.webhook]\npath = '/credits'\n" + CREDITS,
            "",
            "webhooks[0].path: there are two webhooks at /credits.",
        ),
        (
            CREDITS + "secret = 'whsec_x'\n",
            "",
            "the webhook at /credits is made afresh: give the target {stripe.webhook-secret.credits} in env.",
        ),
        (
            CREDITS,
            "env = { A = '{stripe.webhook-secret.credit}' }",
            'nothing fills {stripe.webhook-secret.credit}. Did you mean "stripe.webhook-secret.credits"?',
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, text: str, top: str, says: str) -> None:
    with pytest.raises(SettingsError) as error:
        target(tmp_path, text, top)
    assert str(error.value).startswith("deadheat.toml: ")
    assert says in str(error.value)
