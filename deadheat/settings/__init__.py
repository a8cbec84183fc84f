"""Settings: what to race and how, from the command line, the environment and deadheat.toml."""

from deadheat.settings.load import load_settings
from deadheat.settings.model import (
    OperationSettings,
    Request,
    Settings,
    TargetSettings,
    WebhookSettings,
)

__all__ = [
    "OperationSettings",
    "Request",
    "Settings",
    "TargetSettings",
    "WebhookSettings",
    "load_settings",
]
