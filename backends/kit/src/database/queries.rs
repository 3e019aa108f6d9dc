//! The SQL of the kit itself: `sql/kit/queries/<name>.sql`, or `<name>.sqlite.sql` and `<name>.postgres.sql` where the engines
//! differ.

crate::queries! {
    "kit":
    begin: postgres,
    begin_snapshot: postgres,
    check_server: postgres,
    commit: postgres,
    copy_database: sqlite,
    count_sessions: postgres,
    create_history: postgres,
    create_schema: postgres,
    drop_schema: postgres,
    export_snapshot: postgres,
    find_newest_migration,
    find_server: postgres,
    insert_migration: postgres,
    lift_statement_timeout: postgres,
    list_migrations: postgres,
    list_tables: sqlite,
    list_tables_of_schema: postgres,
    rename_schema: postgres,
    rollback: postgres,
    try_migration_lock: postgres,
}
