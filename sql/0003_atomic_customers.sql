-- The functions that make a profile and its customer one step, and the triggers that keep what
-- hangs on a profile in line with it.
--
-- Locks are advisory, last until the transaction ends and are always taken in this order: e-mail,
-- customer, user; then rows: profile, subscriptions. None is held over a call to Stripe. Functions
-- expect READ COMMITTED: a statement after a lock must see what the lock waited for.

create function lock_customer(p_stripe_customer_id text) returns void
language sql as $$
    select pg_advisory_xact_lock(hashtextextended('customer:' || p_stripe_customer_id, 0));
$$;

create function lock_user(p_user_id uuid) returns void
language sql as $$
    select pg_advisory_xact_lock(hashtextextended('user:' || p_user_id, 0));
$$;

create function lock_email(p_email text) returns void
language sql as $$
    select pg_advisory_xact_lock(hashtextextended('email:' || lower(p_email), 0));
$$;

alter table subscriptions add column hinted_user_id uuid;
create index subscriptions_hinted_user_id on subscriptions (hinted_user_id) where user_id is null;

create function profile_before_write() returns trigger
language plpgsql as $$
begin
    if new.stripe_customer_id is not null
        and (tg_op = 'INSERT' or new.stripe_customer_id is distinct from old.stripe_customer_id) then
        perform lock_customer(new.stripe_customer_id);
    end if;
    if tg_op = 'INSERT' then
        perform lock_user(new.user_id);
    else
        new.updated_at := now();
    end if;
    -- From one sequence for all rows: a row that was deleted and made again has another version.
    new.version := nextval('profile_versions');
    return new;
end
$$;

-- Subscriptions that were kept because nobody knew their user now find it, and the user's rows name
-- the profile's customer.
create function profile_after_write() returns trigger
language plpgsql as $$
begin
    update subscriptions
    set user_id = new.user_id
    where user_id is null
        and (billed_customer_id = new.stripe_customer_id or hinted_user_id = new.user_id);
    update subscriptions
    set stripe_customer_id = new.stripe_customer_id, updated_at = now()
    where user_id = new.user_id and stripe_customer_id is distinct from new.stripe_customer_id;
    return null;
end
$$;

create trigger profile_before_write before insert or update on profiles
for each row execute function profile_before_write();

create trigger profile_after_write after insert or update of stripe_customer_id on profiles
for each row execute function profile_after_write();

-- The user's profile; a placeholder without a customer where there was none. The first e-mail
-- address stays: it is part of what the customer is made with, under one idempotency key.
create function ensure_stripe_customer_atomic(p_user_id uuid, p_email text)
returns table (stripe_customer_id text, profile_id uuid, was_created boolean)
language plpgsql as $$
#variable_conflict use_column
declare
    known profiles;
begin
    if p_user_id is null then
        raise exception 'p_user_id is null' using errcode = 'null_value_not_allowed';
    end if;
    loop
        select * into known from profiles where user_id = p_user_id;
        if found then
            if known.email is null and p_email is not null then
                update profiles set email = p_email where id = known.id and email is null;
            end if;
            return query select known.stripe_customer_id, known.id, false;
            return;
        end if;
        perform lock_user(p_user_id);
        insert into profiles (user_id, email) values (p_user_id, p_email)
        on conflict (user_id) do nothing
        returning * into known;
        if found then
            return query select known.stripe_customer_id, known.id, true;
            return;
        end if;
    end loop;
end
$$;

-- Records a customer that was made at Stripe. One that is already there stays, and one that was
-- retired is never recorded again: both say created_customer = false, and the caller, who finds
-- another customer in the profile, removes its own at Stripe.
create function create_customer_and_profile_atomic(
    p_user_id uuid, p_email text, p_stripe_customer_id text, p_full_name text default null
)
returns table (profile_id uuid, created_customer boolean, created_profile boolean)
language plpgsql as $$
#variable_conflict use_column
declare
    retired boolean;
    known_id uuid;
begin
    if p_user_id is null or coalesce(p_stripe_customer_id, '') = '' then
        raise exception 'a user and a customer are needed' using errcode = 'null_value_not_allowed';
    end if;
    perform lock_customer(p_stripe_customer_id);
    perform lock_user(p_user_id);
    retired := exists (select from retired_customers r where r.stripe_customer_id = p_stripe_customer_id);
    loop
        insert into profiles (user_id, email, full_name, stripe_customer_id)
        values (p_user_id, p_email, p_full_name, case when not retired then p_stripe_customer_id end)
        on conflict (user_id) do nothing
        returning id into known_id;
        if found then
            return query select known_id, not retired, true;
            return;
        end if;
        update profiles p
        set email = coalesce(p.email, p_email), full_name = coalesce(p.full_name, p_full_name)
        where p.user_id = p_user_id
            and ((p.email is null and p_email is not null)
                or (p.full_name is null and p_full_name is not null));
        update profiles p
        set stripe_customer_id = p_stripe_customer_id
        where p.user_id = p_user_id and p.stripe_customer_id is null and not retired
        returning p.id into known_id;
        if found then
            return query select known_id, true, false;
            return;
        end if;
        select p.id into known_id from profiles p where p.user_id = p_user_id;
        if found then
            return query select known_id, false, false;
            return;
        end if;
    end loop;
end
$$;

-- Takes a customer out of use that is gone at Stripe. A profile that names it is left
-- without one, ready for the next attempt, whose idempotency key is a new one. Says whether that was so.
create function retire_customer(p_stripe_customer_id text, p_user_id uuid)
returns boolean
language plpgsql as $$
declare
    owner uuid;
begin
    perform lock_customer(p_stripe_customer_id);
    update profiles
    set stripe_customer_id = null, customer_attempt = customer_attempt + 1
    where stripe_customer_id = p_stripe_customer_id
    returning user_id into owner;
    insert into retired_customers (stripe_customer_id, user_id, reason)
    values (p_stripe_customer_id, coalesce(owner, p_user_id), 'deleted')
    on conflict (stripe_customer_id) do nothing;
    return owner is not null;
end
$$;

-- Takes a customer out of use that its maker could not record because the user has another one. False,
-- and nothing done, where a profile names it: then it is nobody's to remove.
create function drop_loser(p_stripe_customer_id text, p_user_id uuid) returns boolean
language plpgsql as $$
begin
    perform lock_customer(p_stripe_customer_id);
    if exists (select from profiles p where p.stripe_customer_id = p_stripe_customer_id) then
        return false;
    end if;
    insert into retired_customers (stripe_customer_id, user_id, reason)
    values (p_stripe_customer_id, p_user_id, 'lost the race')
    on conflict (stripe_customer_id) do nothing;
    return true;
end
$$;

-- Sign-up: one user for each e-mail address. Somebody who bought before signing up, under an id of
-- the page's choosing, keeps that id, so that one person stays one user.
create function register_user(p_email text, p_full_name text) returns uuid
language plpgsql as $$
declare
    known uuid;
begin
    perform lock_email(p_email);
    select id into known from users where lower(email) = lower(p_email);
    if found then
        return known;
    end if;
    select p.user_id into known
    from profiles p
    where lower(p.email) = lower(p_email) and not exists (select from users u where u.id = p.user_id)
    order by p.created_at, p.id
    limit 1;
    insert into users (id, email, full_name)
    values (coalesce(known, gen_random_uuid()), p_email, p_full_name)
    returning id into known;
    return known;
end
$$;

-- Whether a call may act for p_user_id under p_email: 'welcome', 'other e-mail' (the user is known by
-- another address) or 'somebody else' (the address is the account of another user). A user never seen
-- is taken at its word and gets a placeholder profile, under the same lock as sign-up.
create function admit_user(p_user_id uuid, p_email text) returns text
language plpgsql as $$
declare
    known_email text;
begin
    perform lock_email(p_email);
    select coalesce(
        (select u.email from users u where u.id = p_user_id),
        (select p.email from profiles p where p.user_id = p_user_id)
    ) into known_email;
    if known_email is null and exists (
        select from users u where lower(u.email) = lower(p_email) and u.id <> p_user_id
    ) then
        return 'somebody else';
    end if;
    if lower(known_email) <> lower(p_email) then
        return 'other e-mail';
    end if;
    perform ensure_stripe_customer_atomic(p_user_id, coalesce(known_email, p_email));
    return 'welcome';
end
$$;
