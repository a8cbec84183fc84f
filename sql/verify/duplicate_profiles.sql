-- Users with more than one profile. Holds when it returns no row.
select user_id, count(*) as profiles, array_agg(id order by created_at) as profile_ids
from profiles
group by user_id
having count(*) > 1;
