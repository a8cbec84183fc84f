-- The schema as it was before the race fixes: primary keys, and nothing that stops a duplicate.
-- `users` and `confirmations` stand for the auth provider, which was right all along: one row for
-- each e-mail address, one link for each mail sent. Where a user's Stripe customer is known from is
-- the newest row of `subscriptions`. A database that has these tables already keeps them.

create table if not exists users (
    id uuid primary key default gen_random_uuid(),
    email text not null unique,
    full_name text,
    created_at timestamptz not null default now()
);

create table if not exists confirmations (
    code text primary key,
    user_id uuid not null,
    created_at timestamptz not null default now(),
    used_at timestamptz
);

create table if not exists profiles (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    email text,
    full_name text,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

create table if not exists subscriptions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    stripe_customer_id text,
    stripe_subscription_id text,
    status text default 'none',
    price_id text,
    event_created bigint,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
