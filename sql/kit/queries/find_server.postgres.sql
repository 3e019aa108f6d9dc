-- What the server is, and whether this backend's schema and the history of its migrations are there.
--
-- $1 schema  $2 table of the history
select
    current_setting('server_encoding') as encoding,
    current_setting('server_version_num')::bigint as version,
    current_setting('synchronous_commit') = 'off' as is_lazy,
    exists (select from pg_catalog.pg_namespace where nspname = $1::text) as has_schema,
    to_regclass(quote_ident($1) || '.' || quote_ident($2::text)) is not null as has_history
