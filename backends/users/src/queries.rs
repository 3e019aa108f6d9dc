//! The SQL of this backend, by name: `sql/users/queries/<name>.sql`.

kit::queries! {
    "users":
    count_users,
    delete_user,
    find_email_owner,
    find_user,
    insert_user,
    list_users,
    search_users: per_engine,
    update_user,
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_query_fits_the_schema() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/users/queries");
        assert_eq!(kit::sql::check(folder.as_ref(), super::ALL, &crate::store::sqlite::migrations()), Ok(()));
    }
}
