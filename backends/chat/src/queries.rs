//! The SQL of this backend, by name: `sql/chat/queries/<name>.sql`, or `<name>.sqlite.sql` and
//! `<name>.postgres.sql` where the engines differ.

kit::queries! {
    "chat":
    advance_room: sqlite,
    append_events: postgres,
    count_rooms,
    find_sent: sqlite,
    insert_event: sqlite,
    list_broken_rooms,
    list_doubled_messages,
    list_events_after,
    list_events_before,
    list_heads: per_engine,
    list_rooms,
    lock_room: postgres,
    make_room: postgres,
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_query_fits_the_schemas_of_both_engines() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/chat/queries");
        let database = servers::Database::create();
        let postgres = crate::store::postgres::tests::open(&database).await;
        let migrations = (crate::store::sqlite::migrations(), crate::store::postgres::migrations());
        let checked = kit::sql::check::check(folder.as_ref(), super::ALL, &migrations.0, (&postgres.database, &migrations.1)).await;
        assert_eq!(checked, Ok(()));
    }
}
