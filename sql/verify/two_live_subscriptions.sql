-- Users with more than one live subscription. Rows here were bought before the fixes: decide with the
-- customer which one stays.
select user_id, count(*) as live, array_agg(stripe_subscription_id order by created_at) as subscriptions
from subscriptions
where user_id is not null and is_live(status) and stripe_subscription_id is not null
group by user_id
having count(*) > 1;
