-- Customers that more than one user's profile names. Holds when it returns no row.
select stripe_customer_id, count(*) as profiles, array_agg(user_id order by user_id) as user_ids
from profiles
where stripe_customer_id is not null
group by stripe_customer_id
having count(*) > 1;
