//! The SQL of this backend, by name: `sql/analytics/queries/<name>.sql`, or `<name>.sqlite.sql` and
//! `<name>.postgres.sql` where the engines differ.

kit::queries! {
    "analytics":
    add_to_minute: sqlite,
    add_to_minutes: postgres,
    add_to_total: sqlite,
    add_to_totals: postgres,
    count_events,
    insert_event: sqlite,
    insert_events: postgres,
    list_hot_names,
    list_minutes,
    list_miscounted_minutes,
    list_miscounted_names,
    list_totals,
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_query_fits_the_schemas_of_both_engines() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/analytics/queries");
        let database = servers::Database::create();
        let postgres = crate::store::postgres::tests::open(&database).await;
        let migrations = (crate::store::sqlite::migrations(), crate::store::postgres::migrations());
        let checked = kit::sql::check::check(folder.as_ref(), super::ALL, &migrations.0, (&postgres.database, &migrations.1)).await;
        assert_eq!(checked, Ok(()));
    }
}
