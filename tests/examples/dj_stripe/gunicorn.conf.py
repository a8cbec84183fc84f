"""gunicorn's configuration; before it forks, the webhook endpoint is put into the database.

At a real site somebody does that once, in Django's admin. Here each start has a signing secret of its
own.
"""

import os

wsgi_app = "django.core.wsgi:get_wsgi_application()"
bind = f"127.0.0.1:{os.environ['PORT']}"
workers = 2
threads = 4
keepalive = 10
control_socket_disable = True
raw_env = ["DJANGO_SETTINGS_MODULE=site_settings"]


def on_starting(server):
    os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
    import django

    django.setup()
    from django.db import connections
    from djstripe.models import WebhookEndpoint

    WebhookEndpoint.objects.update_or_create(
        id="we_site",
        defaults={
            "djstripe_uuid": os.environ["WEBHOOK_UUID"],
            "secret": os.environ["STRIPE_WEBHOOK_SECRET"],
            "url": "https://site.test/stripe/",
            "enabled_events": ["*"],
            "status": "enabled",
            "livemode": False,
        },
    )
    connections.close_all()
