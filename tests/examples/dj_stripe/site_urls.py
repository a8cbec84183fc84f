"""What people can do at the site, and dj-stripe's webhook below /stripe/."""

from __future__ import annotations

import json

import stripe
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from djstripe.models import Customer
from djstripe.settings import djstripe_settings


@csrf_exempt
def sign_up(request: HttpRequest) -> JsonResponse:
    """Make the user and, by dj-stripe's own get_or_create, their Stripe customer."""
    email = json.loads(request.body)["email"]
    user, _ = get_user_model().objects.get_or_create(username=email, defaults={"email": email})
    customer, _ = Customer.get_or_create(subscriber=user)
    return JsonResponse({"id": user.pk, "customer": customer.id})


@csrf_exempt
def check_out(request: HttpRequest) -> JsonResponse:
    """Open a checkout session for a subscription."""
    asked = json.loads(request.body)
    customer = Customer.objects.get(subscriber_id=asked["user"])
    session = stripe.checkout.Session.create(
        api_key=djstripe_settings.STRIPE_SECRET_KEY,
        stripe_version=djstripe_settings.STRIPE_API_VERSION,
        customer=customer.id,
        mode="subscription",
        line_items=[{"price": asked["price"], "quantity": 1}],
        success_url="https://site.test/done",
    )
    return JsonResponse({"customer": customer.id, "session": session.id})


def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the site is up."""
    return HttpResponse("ok")


urlpatterns = [
    path("healthz", healthz),
    path("sign-up", sign_up),
    path("check-out", check_out),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]
