-- Stripe subscriptions with more than one row. Holds when it returns no row.
select stripe_subscription_id, count(*) as rows
from subscriptions
where stripe_subscription_id is not null
group by stripe_subscription_id
having count(*) > 1;
