//! The tests that each store passes; `store_contract!` runs them against one.

use kit::clock::Timestamp;
use uuid::Uuid;

use super::{Conditions, Page, Store};
use crate::Error;
use crate::model::{Change, User};

/// Runs every test of the contract; the expression makes a guard (kept until the end) and a store.
macro_rules! store_contract {
    ($make:expr) => {
        $crate::store::contract::store_contract! { $make;
            a_user_that_was_inserted_is_found,
            an_address_can_be_taken_only_once_without_regard_to_case,
            users_are_listed_newest_first_page_by_page,
            a_search_looks_at_names_and_addresses,
            a_change_raises_the_version,
            a_change_that_changes_nothing_keeps_the_version,
            a_change_cannot_take_the_address_of_another,
            a_change_needs_the_version_it_was_made_for,
            nobody_unknown_can_be_changed_or_deleted,
            a_deleted_user_is_gone_and_his_address_free,
            what_the_store_did_breaks_no_invariant,
        }
    };
    ($make:expr; $($test:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            let (_guard, store) = $make;
            $crate::store::contract::$test(&store).await;
        })+
    };
}
pub(crate) use store_contract;

const NOON: Timestamp = Timestamp::from_millis(1_767_261_600_000);
const LATER: Timestamp = Timestamp::from_millis(1_767_261_601_000);

fn user(name: &str, email: &str) -> User {
    User::new(Uuid::now_v7(), name.parse().expect("a name"), email.parse().expect("an address"), NOON)
}

async fn insert(store: &dyn Store, name: &str, email: &str) -> User {
    let user = user(name, email);
    store.insert_user(user.clone()).await.expect("inserted");
    user
}

fn rename(name: &str) -> Change {
    Change { name: Some(name.parse().expect("a name")), email: None }
}

fn only_version(version: &'static str) -> Conditions {
    let header = http::HeaderValue::from_static(version);
    Conditions::of(&http::HeaderMap::from_iter([(http::header::IF_MATCH, header)]))
}

pub(crate) async fn a_user_that_was_inserted_is_found(store: &dyn Store) {
    let ada = insert(store, "Ada", "Ada@example.com").await;
    assert_eq!(store.find_user(ada.id).await.unwrap(), Some(ada));
    assert_eq!(store.find_user(Uuid::now_v7()).await.unwrap(), None);
    assert_eq!(store.count_users().await.unwrap(), 1);
}

pub(crate) async fn an_address_can_be_taken_only_once_without_regard_to_case(store: &dyn Store) {
    insert(store, "Ada", "ada@example.com").await;
    let again = store.insert_user(user("Other", "ADA@Example.com")).await;
    assert!(matches!(again, Err(Error::EmailTaken)));
    assert_eq!(store.count_users().await.unwrap(), 1);
}

pub(crate) async fn users_are_listed_newest_first_page_by_page(store: &dyn Store) {
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.insert(0, insert(store, "U", &format!("u{number}@example.com")).await);
    }
    let first = store.list_users(Page { limit: 3, ..Page::default() }).await.unwrap();
    assert_eq!(first, expected[..3]);
    let second = store.list_users(Page { before: Some(first[2].id), limit: 3, search: None }).await.unwrap();
    assert_eq!(second, expected[3..]);
}

pub(crate) async fn a_search_looks_at_names_and_addresses(store: &dyn Store) {
    let ada = insert(store, "Ada Löwe", "x@example.com").await;
    let bob = insert(store, "Bob", "LOVELACE@example.com").await;
    insert(store, "Carl", "carl@example.com").await;
    for (text, found) in [("LÖWE", vec![&ada]), ("lovelace@", vec![&bob]), ("o", vec![]), ("%", vec![]), ("_", vec![])] {
        let page = store.list_users(Page { search: Some(text.to_owned()), limit: 10, before: None }).await.unwrap();
        // Every address has an "o" in it.
        match text {
            "o" => assert_eq!(page.len(), 3),
            _ => assert_eq!(page.iter().collect::<Vec<_>>(), found, "{text}"),
        }
    }
}

pub(crate) async fn a_change_raises_the_version(store: &dyn Store) {
    let ada = insert(store, "Ada", "ada@example.com").await;
    let email = Some("Countess@example.com".parse().expect("an address"));
    let changed = store.update_user(ada.id, Change { name: None, email }, Conditions::default(), LATER).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.email.as_str(), changed.version), ("Ada", "Countess@example.com", 2));
    assert_eq!((changed.created_at, changed.updated_at), (NOON, LATER));
    assert_eq!(store.find_user(ada.id).await.unwrap(), Some(changed));
    let found = store.list_users(Page { search: Some("countess".to_owned()), limit: 10, before: None }).await.unwrap();
    assert_eq!(found.len(), 1, "the search follows the change");
}

pub(crate) async fn a_change_that_changes_nothing_keeps_the_version(store: &dyn Store) {
    let ada = insert(store, "Ada", "ada@example.com").await;
    let same = store.update_user(ada.id, rename("Ada"), Conditions::default(), LATER).await.unwrap();
    assert_eq!(same, ada);
}

pub(crate) async fn a_change_cannot_take_the_address_of_another(store: &dyn Store) {
    insert(store, "Ada", "ada@example.com").await;
    let bob = insert(store, "Bob", "bob@example.com").await;
    let email = Some("ADA@example.com".parse().expect("an address"));
    let taken = store.update_user(bob.id, Change { name: None, email }, Conditions::default(), LATER).await;
    assert!(matches!(taken, Err(Error::EmailTaken)));
    let own = Some("BOB@example.com".parse().expect("an address"));
    let own = store.update_user(bob.id, Change { name: None, email: own }, Conditions::default(), LATER).await.unwrap();
    assert_eq!(own.email.as_str(), "BOB@example.com", "one's own address may change its case");
}

pub(crate) async fn a_change_needs_the_version_it_was_made_for(store: &dyn Store) {
    let ada = insert(store, "Ada", "ada@example.com").await;
    let stale = store.update_user(ada.id, rename("A"), only_version("\"2\""), LATER).await;
    assert!(matches!(stale, Err(Error::PreconditionFailed)));
    assert!(matches!(store.delete_user(ada.id, only_version("\"2\"")).await, Err(Error::PreconditionFailed)));
    store.update_user(ada.id, rename("A"), only_version("\"1\""), LATER).await.unwrap();
    store.delete_user(ada.id, only_version("\"2\"")).await.unwrap();
}

pub(crate) async fn nobody_unknown_can_be_changed_or_deleted(store: &dyn Store) {
    let nobody = Uuid::now_v7();
    let change = store.update_user(nobody, rename("A"), Conditions::default(), LATER).await;
    assert!(matches!(change, Err(Error::NotFound)));
    assert!(matches!(store.delete_user(nobody, Conditions::default()).await, Err(Error::NotFound)));
}

pub(crate) async fn a_deleted_user_is_gone_and_his_address_free(store: &dyn Store) {
    let ada = insert(store, "Ada", "ada@example.com").await;
    store.delete_user(ada.id, Conditions::default()).await.unwrap();
    assert_eq!(store.find_user(ada.id).await.unwrap(), None);
    assert!(matches!(store.delete_user(ada.id, Conditions::default()).await, Err(Error::NotFound)));
    insert(store, "Ada again", "ada@example.com").await;
}

pub(crate) async fn what_the_store_did_breaks_no_invariant(store: &dyn Store) {
    assert_eq!(store.check_invariants().await.unwrap(), [""; 0], "of an empty store");
    let ada = insert(store, "Ada", "ada@example.com").await;
    insert(store, "Bob", "bob@example.com").await;
    store.update_user(ada.id, rename("A"), Conditions::default(), LATER).await.unwrap();
    store.delete_user(ada.id, Conditions::default()).await.unwrap();
    assert_eq!(store.check_invariants().await.unwrap(), [""; 0]);
}

/// Not every engine can be brought to have an address twice in the table as it is, so `spoil` first takes away what prevents it.
pub(crate) async fn an_address_that_is_there_twice_is_told(store: &dyn Store, spoil: impl AsyncFnOnce(&str)) {
    for (name, email) in [("Ada", "ada@example.com"), ("Bob", "bob@example.com"), ("Carl", "carl@example.com")] {
        insert(store, name, email).await;
    }
    spoil("update users set email_key = 'ada@example.com' where name = 'Bob'").await;
    assert_eq!(store.check_invariants().await.unwrap(), ["the address ada@example.com is that of 2 users"]);
}
