-- What the race left behind: customers that lost it and are still at Stripe, and subscriptions that were
-- kept for a customer which then turned out to be somebody's second one.

-- How often it may still be tried to delete a customer at Stripe that lost the race; 0 once it is
-- deleted there, or has a subscription, or is no loser.
alter table retired_customers add column removals_left integer not null default 0;
update retired_customers set removals_left = 12 where reason = 'lost the race';

-- Subscriptions without a user that are billed to a retired customer go to the user it is known by. The
-- profile's row is locked first, as everywhere, so that both name the same customer.
create function claim_kept_subscriptions(p_stripe_customer_id text) returns void
language plpgsql as $$
declare
    owner uuid;
    profile_customer text;
begin
    select p.user_id, p.stripe_customer_id into owner, profile_customer
    from retired_customers r join profiles p on p.user_id = r.user_id
    where r.stripe_customer_id = p_stripe_customer_id
    for no key update of p;
    if not found then
        return;
    end if;
    update subscriptions s
    set user_id = owner, stripe_customer_id = profile_customer, updated_at = now()
    where s.user_id is null and s.billed_customer_id = p_stripe_customer_id;
end
$$;

select claim_kept_subscriptions(r.stripe_customer_id)
from retired_customers r
where r.user_id is not null;

-- As in 0003; a customer that was retired for nobody gets its user, and the subscriptions that were kept
-- for it find theirs.
create or replace function retire_customer(p_stripe_customer_id text, p_user_id uuid)
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
    insert into retired_customers as r (stripe_customer_id, user_id, reason)
    values (p_stripe_customer_id, coalesce(owner, p_user_id), 'deleted')
    on conflict (stripe_customer_id) do update
    set user_id = coalesce(r.user_id, excluded.user_id), removals_left = 0;
    perform claim_kept_subscriptions(p_stripe_customer_id);
    return owner is not null;
end
$$;

-- As in 0003, and likewise; and it is remembered that the customer is still to be deleted at Stripe.
create or replace function drop_loser(p_stripe_customer_id text, p_user_id uuid) returns boolean
language plpgsql as $$
begin
    perform lock_customer(p_stripe_customer_id);
    if exists (select from profiles p where p.stripe_customer_id = p_stripe_customer_id) then
        return false;
    end if;
    insert into retired_customers as r (stripe_customer_id, user_id, reason, removals_left)
    values (p_stripe_customer_id, p_user_id, 'lost the race', 12)
    on conflict (stripe_customer_id) do update set user_id = coalesce(r.user_id, excluded.user_id);
    perform claim_kept_subscriptions(p_stripe_customer_id);
    return true;
end
$$;

-- As in 0004; a customer that another user's profile names stays there. The subscription is its own
-- user's all the same: whoever it was bought for is told by its row or its metadata.
create or replace function apply_subscription(
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
        if is_live(p_status) and not exists (
            select from profiles p where p.stripe_customer_id = p_customer and p.user_id <> owner
        ) then
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

-- Records a customer that its maker may have died before recording, for a user who is known. 'recorded',
-- 'lost' where the user has another customer or has closed the account, or where it has lost before and
-- is still to be deleted at Stripe; 'unknown' where nobody knows the user; 'taken' where the customer is
-- another user's, or retired with nothing left to do.
create function adopt_customer(p_stripe_customer_id text, p_user_id uuid) returns text
language plpgsql as $$
declare
    known profiles;
    pending boolean;
begin
    perform lock_customer(p_stripe_customer_id);
    perform lock_user(p_user_id);
    if exists (
        select from profiles p
        where p.stripe_customer_id = p_stripe_customer_id and p.user_id <> p_user_id
    ) then
        return 'taken';
    end if;
    select removals_left > 0 into pending
    from retired_customers r where r.stripe_customer_id = p_stripe_customer_id;
    if found then
        return case when pending then 'lost' else 'taken' end;
    end if;
    if not exists (select from profiles p where p.user_id = p_user_id)
        and not exists (select from users u where u.id = p_user_id) then
        return 'unknown';
    end if;
    perform create_customer_and_profile_atomic(
        p_user_id, (select u.email from users u where u.id = p_user_id), p_stripe_customer_id
    );
    select * into known from profiles p where p.user_id = p_user_id;
    if known.stripe_customer_id is distinct from p_stripe_customer_id then
        return 'lost';
    end if;
    return 'recorded';
end
$$;
