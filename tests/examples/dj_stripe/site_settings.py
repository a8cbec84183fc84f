"""Settings of a small Django site that bills with dj-stripe, as its documentation has them.

The one line for Deadheat is STRIPE_API_HOST, a setting of dj-stripe's own.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_database = urlsplit(os.environ["DATABASE_URL"])

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _database.hostname,
        "PORT": _database.port,
        "NAME": _database.path.lstrip("/"),
        "USER": _database.username,
        "PASSWORD": _database.password or "",
        "CONN_MAX_AGE": 60,
    }
}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "djstripe"]
ROOT_URLCONF = "site_urls"
SECRET_KEY = "a secret of nobody's"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The same tables, from the models: dj-stripe's own migrations take minutes of computing.
MIGRATION_MODULES = {"auth": None, "contenttypes": None, "djstripe": None}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "ERROR"},
}

STRIPE_TEST_SECRET_KEY = os.environ["STRIPE_SECRET_KEY"]
STRIPE_LIVE_MODE = False
STRIPE_API_HOST = os.environ["STRIPE_API_BASE"]
STRIPE_API_VERSION = os.environ.get("STRIPE_API_VERSION", "2024-06-20")
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
