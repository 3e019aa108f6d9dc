//! The SQL of this backend, by name: `sql/chat/queries/<name>.sql`.

kit::queries! {
    "chat":
    advance_room,
    count_rooms,
    find_head,
    find_sent,
    insert_event,
    list_events_after,
    list_events_before,
    list_rooms,
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_query_fits_the_schema() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/chat/queries");
        assert_eq!(kit::sql::check(folder.as_ref(), super::ALL, &crate::store::sqlite::migrations()), Ok(()));
    }
}
