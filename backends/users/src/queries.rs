//! The SQL of this backend, by name: `sql/users/queries/<name>.sql`, or `<name>.sqlite.sql` and
//! `<name>.postgres.sql` where the engines differ.

kit::queries! {
    "users":
    count_users,
    delete_user,
    find_user,
    insert_user,
    list_doubled_addresses,
    list_users,
    lock_user: postgres,
    search_users: per_engine,
    update_user,
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_query_fits_the_schemas_of_both_engines() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/users/queries");
        let database = servers::Database::create();
        let postgres = crate::store::postgres::tests::open(&database).await;
        let migrations = (crate::store::sqlite::migrations(), crate::store::postgres::migrations());
        let checked = kit::sql::check::check(folder.as_ref(), super::ALL, &migrations.0, (&postgres.database, &migrations.1)).await;
        assert_eq!(checked, Ok(()));
    }
}
