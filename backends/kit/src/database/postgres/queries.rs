//! The SQL of the kit itself: `sql/kit/queries/<name>.postgres.sql`.

crate::queries! {
    "kit":
    begin: postgres,
    begin_snapshot: postgres,
    check_server: postgres,
    commit: postgres,
    create_history: postgres,
    create_schema: postgres,
    find_server: postgres,
    insert_migration: postgres,
    lift_statement_timeout: postgres,
    list_migrations: postgres,
    rollback: postgres,
    try_migration_lock: postgres,
}
