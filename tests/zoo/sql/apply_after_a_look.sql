-- Looks for the subscription's row, then writes it.

create or replace function apply_subscription(
    p_ticket bigint, p_subscription text, p_customer text, p_status text,
    p_price text, p_period_end timestamptz, p_user_hint uuid
)
returns text
language plpgsql as $$
begin
    perform from subscriptions where stripe_subscription_id = p_subscription;
    if found then
        update subscriptions set status = p_status where stripe_subscription_id = p_subscription;
    else
        insert into subscriptions (
            user_id, stripe_customer_id, billed_customer_id, stripe_subscription_id, status
        )
        values (p_user_hint, p_customer, p_customer, p_subscription, p_status);
    end if;
    return 'applied';
end
$$;
