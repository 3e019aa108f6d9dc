-- Writes a changed user.
--
-- $1 name  $2 address  $3 address, lower-cased  $4 search text  $5 version  $6 now  $7 id
update users
set name = $1, email = $2, email_key = $3, search = $4, version = $5, updated_at = $6
where id = $7
