-- How many others of our processes are connected for this schema.
--
-- $1 what their connections call themselves
select count(*) as sessions
from pg_catalog.pg_stat_activity
where datname = current_database() and application_name = $1::text and pid <> pg_backend_pid()
