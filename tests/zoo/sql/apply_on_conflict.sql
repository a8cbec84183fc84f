-- Writes the subscription's row; its key says whether there is one.

create or replace function apply_subscription(
    p_ticket bigint, p_subscription text, p_customer text, p_status text,
    p_price text, p_period_end timestamptz, p_user_hint uuid
)
returns text
language plpgsql as $$
begin
    insert into subscriptions (
        user_id, stripe_customer_id, billed_customer_id, stripe_subscription_id, status
    )
    values (p_user_hint, p_customer, p_customer, p_subscription, p_status)
    on conflict (stripe_subscription_id) do update set status = excluded.status;
    return 'applied';
end
$$;
