-- Accounts that their user has closed. The profile stays, so that late events still find their user;
-- from `closed_at` on it never takes a customer again.

alter table profiles add column closed_at timestamptz;

-- As in 0003, and a closed profile keeps what it has: who made a customer for it meanwhile is told
-- created_customer = false, finds none in the profile, and removes its own at Stripe. The update
-- waits for a closing that is under way, since both write the row.
create or replace function create_customer_and_profile_atomic(
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
        where p.user_id = p_user_id and p.stripe_customer_id is null and p.closed_at is null and not retired
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

-- Closes an account for good; gives the customer that it had, if any.
create function close_account(p_user_id uuid) returns text
language sql as $$
    update profiles set closed_at = coalesce(closed_at, now())
    where user_id = p_user_id
    returning stripe_customer_id;
$$;

-- Records the session of a checkout generation; false where the generation has been left, or the
-- account is closed. The lock on the profile makes a closing wait, so that it sees the session.
create function record_session(p_user_id uuid, p_generation integer, p_session text) returns boolean
language plpgsql as $$
begin
    perform from profiles where user_id = p_user_id and closed_at is null for share;
    if not found then
        return false;
    end if;
    update checkout_sessions set stripe_session_id = p_session
    where user_id = p_user_id and generation = p_generation
        and (stripe_session_id is null or stripe_session_id = p_session);
    return found;
end
$$;
