-- One profile for each user, one Stripe customer for each profile. Duplicates that the old code left
-- are merged, and nothing is lost: a row that goes is kept whole in `merged_rows`, a customer id that
-- no profile names is kept in `retired_customers`, so that its webhooks still find the user.
--
-- `subscriptions.stripe_customer_id` now always names the customer of the user's profile;
-- `billed_customer_id` is the one that Stripe bills the subscription to. They differ only where a
-- customer was merged away or replaced.

lock table profiles, subscriptions in share row exclusive mode;

create table merged_rows (
    id bigint generated always as identity primary key,
    source text not null,
    reason text not null,
    merged_into uuid,
    row_was jsonb not null,
    merged_at timestamptz not null default now()
);

create table retired_customers (
    stripe_customer_id text primary key,
    user_id uuid,
    reason text not null check (reason in ('merged', 'deleted', 'lost the race')),
    retired_at timestamptz not null default now()
);

create sequence profile_versions;

alter table profiles
    add column stripe_customer_id text,
    add column customer_attempt integer not null default 1,
    add column version bigint not null default nextval('profile_versions');
alter table subscriptions
    add column billed_customer_id text,
    add column current_period_end timestamptz;

-- Blank is missing.
update subscriptions
set stripe_customer_id = nullif(btrim(stripe_customer_id), ''),
    stripe_subscription_id = nullif(btrim(stripe_subscription_id), ''),
    status = coalesce(nullif(btrim(status), ''), 'none');
update subscriptions set billed_customer_id = stripe_customer_id;
update profiles set email = nullif(btrim(email), ''), full_name = nullif(btrim(full_name), '');

-- Rows without a user: a profile finds its user by e-mail, a subscription by its customer or by
-- another row of the same Stripe subscription, where these name one user only.
update profiles p
set user_id = u.id
from users u
where p.user_id is null and lower(u.email) = lower(p.email);

update subscriptions s
set user_id = owner.user_id
from (
    select stripe_subscription_id, min(user_id::text)::uuid as user_id
    from subscriptions
    where user_id is not null
    group by stripe_subscription_id
    having count(distinct user_id) = 1
) owner
where s.user_id is null and s.stripe_subscription_id = owner.stripe_subscription_id;

update subscriptions s
set user_id = owner.user_id
from (
    select stripe_customer_id, min(user_id::text)::uuid as user_id
    from subscriptions
    where user_id is not null
    group by stripe_customer_id
    having count(distinct user_id) = 1
) owner
where s.user_id is null and s.stripe_customer_id = owner.stripe_customer_id;

-- Every customer that a user was ever known by, the best claim first: a live subscription, then any
-- subscription, then the oldest row. Taken before rows are merged, so that no id is overlooked.
create temporary table claims on commit drop as
select
    user_id,
    stripe_customer_id,
    min(case
        when status in ('active', 'trialing', 'past_due') then 0
        when status in ('unpaid', 'paused', 'incomplete') then 1
        when stripe_subscription_id is not null then 2
        else 3
    end) as claim,
    min(created_at) as first_seen
from subscriptions
where stripe_customer_id is not null
group by user_id, stripe_customer_id;

-- One row for each Stripe subscription: the one that the newest event wrote; it takes over what
-- only another row knows.
create temporary table ranked_subscriptions on commit drop as
select
    id,
    first_value(id) over best as keeper,
    first_value(user_id) over (
        partition by stripe_subscription_id order by user_id is null, event_created desc nulls last, id
    ) as known_user,
    first_value(stripe_customer_id) over (
        partition by stripe_subscription_id
        order by stripe_customer_id is null, event_created desc nulls last, id
    ) as known_customer
from subscriptions
where stripe_subscription_id is not null
window best as (
    partition by stripe_subscription_id
    order by event_created desc nulls last, updated_at desc nulls last, status = 'none', id
);

update subscriptions s
set user_id = coalesce(s.user_id, r.known_user),
    billed_customer_id = coalesce(s.billed_customer_id, r.known_customer)
from ranked_subscriptions r
where s.id = r.id and r.id = r.keeper;

insert into merged_rows (source, reason, merged_into, row_was)
select 'subscriptions', 'same Stripe subscription', r.keeper, to_jsonb(s)
from subscriptions s join ranked_subscriptions r using (id)
where r.id <> r.keeper;

delete from subscriptions s using ranked_subscriptions r where s.id = r.id and r.id <> r.keeper;

-- One profile for each user: the oldest, completed from the others, the newest first.
create temporary table ranked_profiles on commit drop as
select
    id,
    first_value(id) over (partition by user_id order by created_at nulls last, id) as keeper,
    first_value(email) over (
        partition by user_id order by email is null, created_at desc nulls last, id
    ) as known_email,
    first_value(full_name) over (
        partition by user_id order by full_name is null, created_at desc nulls last, id
    ) as known_name
from profiles
where user_id is not null;

update profiles p
set email = coalesce(p.email, r.known_email), full_name = coalesce(p.full_name, r.known_name)
from ranked_profiles r
where p.id = r.id and r.id = r.keeper;

insert into merged_rows (source, reason, merged_into, row_was)
select 'profiles', 'same user', r.keeper, to_jsonb(p)
from profiles p join ranked_profiles r using (id)
where r.id <> r.keeper
union all
select 'profiles', 'no user has this e-mail address', null, to_jsonb(p)
from profiles p
where p.user_id is null;

delete from profiles p using ranked_profiles r where p.id = r.id and r.id <> r.keeper;
delete from profiles where user_id is null;

-- A user with a subscription and no profile gets one.
insert into profiles (user_id, email, full_name)
select known.user_id, u.email, u.full_name
from (
    select user_id from subscriptions where user_id is not null
    union
    select user_id from claims where user_id is not null
) known
left join users u on u.id = known.user_id
where not exists (select from profiles p where p.user_id = known.user_id);

-- A customer that several users claim goes to the best claim; of the customers that a user then has,
-- the best is the profile's and the others are retired.
create temporary table owned on commit drop as
select
    stripe_customer_id,
    user_id,
    row_number() over (
        partition by user_id order by claim, first_seen nulls last, stripe_customer_id
    ) as place
from (
    select distinct on (stripe_customer_id) stripe_customer_id, user_id, claim, first_seen
    from claims
    order by stripe_customer_id, user_id is null, claim, first_seen nulls last, user_id
) best;

update profiles p
set stripe_customer_id = o.stripe_customer_id
from owned o
where o.user_id = p.user_id and o.place = 1;

insert into retired_customers (stripe_customer_id, user_id, reason)
select stripe_customer_id, user_id, 'merged'
from owned
where user_id is not null and place > 1;

update subscriptions s
set stripe_customer_id = p.stripe_customer_id
from profiles p
where p.user_id = s.user_id and s.stripe_customer_id is distinct from p.stripe_customer_id;

-- What the old schema never said.
update profiles
set created_at = coalesce(created_at, now()), updated_at = coalesce(updated_at, now());

alter table profiles
    alter column user_id set not null,
    alter column created_at set not null,
    alter column updated_at set not null,
    add constraint profiles_user_id_key unique (user_id),
    add constraint profiles_stripe_customer_id_key unique (stripe_customer_id);
alter table subscriptions
    alter column status set not null,
    add constraint subscriptions_stripe_subscription_id_key unique (stripe_subscription_id);

-- An index for each look-up; those by user, customer and subscription are the constraints'.
create index subscriptions_user_id on subscriptions (user_id);
create index subscriptions_stripe_customer_id on subscriptions (stripe_customer_id);
create index subscriptions_billed_customer_id on subscriptions (billed_customer_id);
create index profiles_email on profiles (lower(email));
create index users_email on users (lower(email));
create index confirmations_user_id on confirmations (user_id);
create index retired_customers_user_id on retired_customers (user_id);
