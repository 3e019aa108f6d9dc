-- A new user; no row is returned when the address is taken.
--
-- $1 id  $2 name  $3 address  $4 address, lower-cased  $5 search text  $6 now
insert into users (id, name, email, email_key, search, version, created_at, updated_at)
values ($1, $2, $3, $4, $5, 1, $6, $6)
on conflict (email_key) do nothing
returning id
