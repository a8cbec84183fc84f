-- Profiles whose customer differs from their subscription's, both being known. `!=` does not see a
-- customer that is missing on one side: customer_differs_or_missing.sql does.
select
    p.user_id,
    p.stripe_customer_id as profile_customer,
    s.stripe_customer_id as subscription_customer,
    s.stripe_subscription_id
from profiles p
join subscriptions s on s.user_id = p.user_id
where p.stripe_customer_id != s.stripe_customer_id;
