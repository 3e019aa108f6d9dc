-- People with an account.
create table users (
    id uuid primary key,                            -- UUIDv7, so ids in order are users in order of creation
    name text not null,
    email text not null,
    email_key text not null unique,                 -- the address without regard to case
    search text not null,                           -- name and address without regard to case, for `q`
    version bigint not null,                        -- grows with each change; the ETag
    created_at bigint not null,                     -- milliseconds since 1970
    updated_at bigint not null
);
