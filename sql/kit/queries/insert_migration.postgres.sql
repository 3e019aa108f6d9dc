-- Notes that a migration was applied.
--
-- $1 version  $2 name  $3 checksum
insert into refinery_schema_history (version, name, applied_on, checksum)
values ($1, $2, to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), $3)
