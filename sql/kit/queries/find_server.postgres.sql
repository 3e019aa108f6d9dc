-- What the server is, and whether this backend's schema and its table of migrations are there.
--
-- $1 schema  $2 table of migrations
select
    current_setting('server_encoding') as encoding,
    current_setting('server_version_num')::bigint as version,
    exists (select from pg_catalog.pg_namespace where nspname = $1::text) as has_schema,
    to_regclass(quote_ident($1) || '.' || quote_ident($2::text)) is not null as has_migrations
