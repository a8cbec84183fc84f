-- Subscriptions as they were before 0002, without their key.

alter table subscriptions drop constraint subscriptions_stripe_subscription_id_key;
create index subscriptions_stripe_subscription_id on subscriptions (stripe_subscription_id);
