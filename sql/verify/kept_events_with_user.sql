-- Events still kept although their subscription has found its user. Holds when it returns no row.
select e.id, e.type, e.stripe_subscription_id, s.user_id
from stripe_events e
join subscriptions s using (stripe_subscription_id)
where e.outcome = 'kept' and s.user_id is not null;
