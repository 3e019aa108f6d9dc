-- Whether the server only reads: it is a standby, or whoever connects now may not write. What a database or a role is set to is
-- looked up, as it holds for new connections only; what the URL itself asks for has the last word.
select
    pg_is_in_recovery() or coalesce(
        (
            select options.option_value::boolean
            from pg_catalog.pg_db_role_setting as settings, pg_options_to_table(settings.setconfig) as options
            where
                options.option_name = 'default_transaction_read_only'
                and settings.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
                and settings.setrole in (0, (select oid from pg_catalog.pg_roles where rolname = session_user))
                and not exists (select from pg_settings where name = 'default_transaction_read_only' and source = 'client')
            order by settings.setrole <> 0 desc, settings.setdatabase <> 0 desc
            limit 1
        ),
        current_setting('default_transaction_read_only')::boolean
    ) as is_read_only
