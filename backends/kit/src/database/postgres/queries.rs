//! The SQL of the kit itself: `sql/kit/queries/<name>.postgres.sql`.

crate::queries! {
    "kit":
    begin: postgres,
    begin_snapshot: postgres,
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

#[cfg(test)]
mod tests {
    use crate::database::postgres::{Config, Postgres};

    #[tokio::test]
    async fn every_query_fits_any_schema() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/kit/queries");
        let database = servers::Database::create();
        let nothing = || refinery::Runner::new(&[]);
        let address = database.url().parse().expect("an address");
        let postgres = Postgres::open(&address, "nothing", &nothing(), &Config::for_tests()).await.expect("open");
        assert_eq!(crate::sql::check::check(folder.as_ref(), super::ALL, &nothing(), (&postgres, &nothing())).await, Ok(()));
    }
}
