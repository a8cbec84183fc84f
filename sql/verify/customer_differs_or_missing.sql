-- Profiles whose customer is not their subscription's: another one, or missing on one side only.
select
    p.user_id,
    p.stripe_customer_id as profile_customer,
    s.stripe_customer_id as subscription_customer,
    s.stripe_subscription_id
from profiles p
join subscriptions s on s.user_id = p.user_id
where p.stripe_customer_id is distinct from s.stripe_customer_id;
