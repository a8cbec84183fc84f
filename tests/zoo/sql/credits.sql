-- Credits for what was paid.

create table credits (
    source_id text not null,
    granted_at timestamptz not null default now()
);
