"""A small customer service on Stripe that stays right when everything happens at once."""
