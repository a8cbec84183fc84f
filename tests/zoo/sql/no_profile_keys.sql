-- Profiles as they were before 0002, without their keys, and what relied on these.

alter table profiles
    drop constraint profiles_user_id_key,
    drop constraint profiles_stripe_customer_id_key;

create or replace function ensure_stripe_customer_atomic(p_user_id uuid, p_email text)
returns table (stripe_customer_id text, profile_id uuid, was_created boolean)
language sql as $$
    insert into profiles (user_id, email)
    select p_user_id, p_email
    where not exists (select from profiles where user_id = p_user_id);
    select stripe_customer_id, id, false from profiles where user_id = p_user_id limit 1;
$$;

create or replace function create_customer_and_profile_atomic(
    p_user_id uuid, p_email text, p_stripe_customer_id text, p_full_name text default null
)
returns table (profile_id uuid, created_customer boolean, created_profile boolean)
language sql as $$
    with recorded as (
        update profiles
        set stripe_customer_id = p_stripe_customer_id, full_name = coalesce(full_name, p_full_name)
        where user_id = p_user_id and stripe_customer_id is null
        returning id
    )
    select id, true, false from recorded
    union all
    select id, false, false from profiles where user_id = p_user_id and stripe_customer_id is not null
    limit 1;
$$;
