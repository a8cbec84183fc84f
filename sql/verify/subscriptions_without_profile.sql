-- Subscriptions of a user who has no profile. Holds when it returns no row.
select s.user_id, s.stripe_subscription_id, s.status
from subscriptions s
where s.user_id is not null and not exists (select from profiles p where p.user_id = s.user_id);
