-- The ledger of Stripe's events, what keeps a subscription's row at the newest state that anybody
-- has read, and the one checkout session of each user.

create table stripe_events (
    id text primary key,
    type text not null,
    created bigint,
    stripe_customer_id text,
    stripe_subscription_id text,
    outcome text not null check (outcome in ('applied', 'kept', 'ignored')),
    received_at timestamptz not null default now()
);
create index stripe_events_kept on stripe_events (stripe_subscription_id) where outcome = 'kept';

-- A ticket is drawn before a subscription is read at Stripe. What was read under an older ticket
-- never overwrites what was read under a newer one, so no lock is held while Stripe answers: the
-- reader that began after the last change has the newest ticket of all that may be missing it.
create sequence subscription_tickets;

create table subscription_reads (
    stripe_subscription_id text primary key,
    ticket bigint not null
);

create function is_live(p_status text) returns boolean
language sql immutable as $$
    select p_status in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'incomplete');
$$;

-- Whose subscription it is: by its row, by the customer's profile, by a customer that was retired, by
-- the metadata if that user is known; null when nobody knows (yet).
create function subscriber(p_subscription text, p_customer text, p_user_hint uuid) returns uuid
language sql as $$
    select coalesce(
        (select s.user_id from subscriptions s where s.stripe_subscription_id = p_subscription),
        (select p.user_id from profiles p where p.stripe_customer_id = p_customer),
        (select r.user_id from retired_customers r where r.stripe_customer_id = p_customer),
        (select p.user_id from profiles p where p.user_id = p_user_hint),
        (select u.id from users u where u.id = p_user_hint)
    );
$$;

-- Writes what was read at Stripe under p_ticket. 'applied', or 'kept' while nobody knows the user: the
-- row then waits without one, and the profile that appears takes it (profile_after_write).
create function apply_subscription(
    p_ticket bigint,
    p_subscription text,
    p_customer text,
    p_status text,
    p_price text,
    p_period_end timestamptz,
    p_user_hint uuid
)
returns text
language plpgsql as $$
declare
    owner uuid;
    profile_customer text;
begin
    perform lock_customer(p_customer);
    if p_user_hint is not null then
        perform lock_user(p_user_hint);
    end if;
    owner := subscriber(p_subscription, p_customer, p_user_hint);

    insert into subscription_reads as r values (p_subscription, p_ticket)
    on conflict (stripe_subscription_id) do update set ticket = p_ticket where r.ticket < p_ticket;
    if not found then
        return case when owner is null then 'kept' else 'applied' end;
    end if;

    if owner is not null then
        if is_live(p_status) then
            perform create_customer_and_profile_atomic(
                owner, (select u.email from users u where u.id = owner), p_customer
            );
        else
            perform ensure_stripe_customer_atomic(
                owner, (select u.email from users u where u.id = owner)
            );
        end if;
        select p.stripe_customer_id into profile_customer
        from profiles p
        where p.user_id = owner
        for no key update;
    end if;

    insert into subscriptions as s (
        user_id, stripe_customer_id, billed_customer_id, hinted_user_id,
        stripe_subscription_id, status, price_id, current_period_end
    )
    values (
        owner, case when owner is null then p_customer else profile_customer end, p_customer,
        p_user_hint, p_subscription, p_status, p_price, p_period_end
    )
    on conflict (stripe_subscription_id) do update
    set user_id = excluded.user_id,
        stripe_customer_id = excluded.stripe_customer_id,
        billed_customer_id = excluded.billed_customer_id,
        hinted_user_id = excluded.hinted_user_id,
        status = excluded.status,
        price_id = excluded.price_id,
        current_period_end = excluded.current_period_end,
        updated_at = now()
    where (s.user_id, s.stripe_customer_id, s.billed_customer_id, s.hinted_user_id,
            s.status, s.price_id, s.current_period_end)
        is distinct from (excluded.user_id, excluded.stripe_customer_id, excluded.billed_customer_id,
            excluded.hinted_user_id, excluded.status, excluded.price_id, excluded.current_period_end);
    return case when owner is null then 'kept' else 'applied' end;
end
$$;

-- The kept events of subscriptions that have found their user are applied.
create function subscription_found_its_user() returns trigger
language plpgsql as $$
begin
    update stripe_events
    set outcome = 'applied'
    where outcome = 'kept' and stripe_subscription_id = new.stripe_subscription_id;
    return null;
end
$$;

create trigger subscription_found_its_user after update of user_id on subscriptions
for each row when (old.user_id is null and new.user_id is not null)
execute function subscription_found_its_user();

-- The one session of a user: what it is made with, so that whoever makes it sends the same under the
-- key of its generation, and its id once it is known. A session may be shown to anybody only while
-- it is recorded here; a generation is left only when its session can no longer be paid or was never
-- recorded. So of all sessions ever shown to one user, at most one is open.
create table checkout_sessions (
    user_id uuid primary key,
    generation integer not null default 1,
    stripe_customer_id text not null,
    price_id text not null,
    stripe_session_id text,
    generation_began_at timestamptz not null default now()
);
