//! The SQL of this backend, by name: `sql/analytics/queries/<name>.sql`.

kit::queries! {
    "analytics":
    add_to_minute,
    add_to_total,
    count_events,
    insert_event,
    list_hot_names,
    list_minutes,
    list_totals,
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_query_fits_the_schema() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/analytics/queries");
        assert_eq!(kit::sql::check(folder.as_ref(), super::ALL, &crate::store::sqlite::migrations()), Ok(()));
    }
}
