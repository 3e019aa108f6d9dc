//! What users can be asked, and what they answer: the contract that `/openapi.json` shows and `routes` keeps.

use kit::http::{Answer, Operation, list_of, schema};
use kit::problem::FieldError;
use serde_json::{Value, json};

use crate::handlers::{LIMIT_DEFAULT, LIMIT_MAX, SEARCH_CHARS_MAX};
use crate::{Config, Error};

/// The schemas these speak of.
pub(crate) const SCHEMAS: &str = include_str!("schemas.json");

pub(crate) fn create_user(config: &Config) -> Operation {
    let created = tagged(Answer::new(201, "The user who was made."))
        .with("Location", "Where he is.", json!({ "type": "string", "format": "uri-reference" }))
        .leads_to("getUser", the_same())
        .leads_to("replaceUser", the_same())
        .leads_to("changeUser", the_same())
        .leads_to("deleteUser", the_same());
    Operation::new("POST /users", "createUser", "Makes an account.")
        .takes("application/json", schema("UserDraft"))
        .answers(created)
        .fails([invalid_user(), Error::EmailTaken])
        .reads_body(config.body_bytes_max, "application/json")
        .uses_database()
}

pub(crate) fn list_users() -> Operation {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT, "examples": [2] });
    let cursor = json!({ "type": "string", "format": "uuid" });
    let search = json!({ "type": "string", "maxLength": SEARCH_CHARS_MAX, "pattern": "^[^\\u0000]*$", "examples": ["john"] });
    let link = json!({ "type": "string", "examples": ["</users?limit=2&cursor=01a20ae6-e6a9-75d9-af24-f5cf042c2fd1>; rel=\"next\""] });
    let page = Answer::new(200, "A page of users.").json(list_of("User")).may_have(
        "Link",
        "Where the next page is (RFC 8288), when there is one.",
        link,
    );
    Operation::new("GET /users", "listUsers", "Lists users, newest first.")
        .describe("Follow `Link` from page to page; a user made meanwhile shifts nobody.")
        .query("limit", "Users in a page.", limit)
        .query("cursor", "From the `Link` of the page before.", cursor)
        .query("q", "Only those with this in name or address, without regard to case.", search)
        .answers(page)
        .fails([Error::InvalidCursor])
        .reads_query()
        .uses_database()
}

pub(crate) fn get_user() -> Operation {
    of_one("GET /users/{id}", "getUser", "Shows a user.")
        .header("If-None-Match", "ETags the caller has: if the user still is one of them, the answer is 304.", etags())
        .answers(tagged(Answer::new(200, "The user.")))
        .answers(Answer::new(304, "The caller has him already.").with("ETag", "His version.", etag()))
        .reads_query()
}

pub(crate) fn replace_user(config: &Config) -> Operation {
    changing("PUT /users/{id}", "replaceUser", "Replaces name and address.")
        .takes("application/json", schema("UserDraft"))
        .answers(tagged(Answer::new(200, "The user as he is now.")))
        .fails([invalid_user(), Error::EmailTaken])
        .reads_body(config.body_bytes_max, "application/json")
}

pub(crate) fn change_user(config: &Config) -> Operation {
    changing("PATCH /users/{id}", "changeUser", "Changes name, address or both.")
        .takes("application/json", schema("UserPatch"))
        .takes("application/merge-patch+json", schema("UserPatch"))
        .answers(tagged(Answer::new(200, "The user as he is now.")))
        .fails([invalid_user(), Error::EmailTaken])
        .reads_body(config.body_bytes_max, "application/json or application/merge-patch+json")
}

pub(crate) fn delete_user() -> Operation {
    changing("DELETE /users/{id}", "deleteUser", "Deletes an account.").answers(Answer::new(204, "He is gone.")).reads_query()
}

fn changing(name: &'static str, id: &'static str, summary: &'static str) -> Operation {
    of_one(name, id, summary)
        .header("If-Match", "ETags: nothing is done unless the user is one of them.", etags())
        .fails([Error::PreconditionFailed])
}

fn of_one(name: &'static str, id: &'static str, summary: &'static str) -> Operation {
    let uuid = json!({ "type": "string", "format": "uuid", "examples": ["01a20ae6-e6a9-75d9-af24-f5cf042c2fd1"] });
    Operation::new(name, id, summary).path("id", "The user's id.", uuid).fails([Error::InvalidId, Error::NotFound]).uses_database()
}

fn tagged(answer: Answer) -> Answer {
    answer.json(schema("User")).with("ETag", "The user's version.", etag())
}

fn etag() -> Value {
    json!({ "type": "string", "pattern": "^\"[0-9]+\"$", "examples": ["\"1\""] })
}

fn etags() -> Value {
    json!({ "type": "string", "examples": ["\"1\""] })
}

/// The user of an answer, for what can be asked of him next.
fn the_same() -> Value {
    json!({ "id": "$response.body#/id" })
}

fn invalid_user() -> Error {
    Error::InvalidUser(vec![FieldError::new("/email", "invalid_value", "must be an email address")])
}
