-- What each of the three stacks keeps. Nothing here forbids a second row of one user: that is the bug.
create table if not exists profiles (
    user_id text not null,
    email text not null,
    stripe_customer_id text not null
);
create index if not exists profiles_user_id on profiles (user_id);
