-- A name under which pg_dump sees the very moment that this transaction sees.
select pg_export_snapshot() as snapshot
