//! The web side of users, all of it.

use http::{HeaderValue, StatusCode};
use kit::http::{Response, Table, body, no_content, ok, problem, query, raw_json};
use warp::Filter;

use crate::cached::View;
use crate::conditions::{Conditions, etag};
use crate::handlers::{self, Found, Listed};
use crate::{Error, Users, operations};

/// Everything this backend answers.
pub(crate) fn table(users: Users) -> Table {
    let config = users.config.clone();
    let body = body(config.body_bytes_max);
    let conditions = warp::header::headers_cloned().map(|headers| Conditions::of(&headers));
    let health = {
        let users = users.clone();
        move || {
            let users = users.clone();
            async move { users.health().await }
        }
    };
    let users = warp::any().map(move || users.clone());

    Table::new("users", operations::SCHEMAS)
        .on(operations::create_user(&config), |at| at.and(body.clone()).and(users.clone()).then(handlers::create_user).map(created))
        .on(operations::list_users(), |at| at.and(query()).and(users.clone()).then(handlers::list_users).map(listed))
        .on_each(operations::get_user(), |at| at.and(conditions).and(query()).and(users.clone()).then(handlers::get_user).map(found))
        .on_each(operations::replace_user(&config), |at| {
            at.and(conditions).and(body.clone()).and(users.clone()).then(handlers::replace_user).map(changed)
        })
        .on_each(operations::change_user(&config), |at| {
            at.and(conditions).and(body.clone()).and(users.clone()).then(handlers::change_user).map(changed)
        })
        .on_each(operations::delete_user(), |at| {
            at.and(conditions).and(query()).and(users.clone()).then(handlers::delete_user).map(no_content)
        })
        .health(health)
}

fn created(result: Result<View, Error>) -> Response {
    result.map_or_else(problem, |view| {
        let location = format!("/users/{}", view.id);
        raw_json(StatusCode::CREATED, view.json, Some(&etag(view.version)), Some(&location))
    })
}

fn changed(result: Result<View, Error>) -> Response {
    result.map_or_else(problem, |view| raw_json(StatusCode::OK, view.json, Some(&etag(view.version)), None))
}

fn found(result: Result<Found, Error>) -> Response {
    match result {
        Ok(Found::Modified(view)) => changed(Ok(view)),
        Ok(Found::NotModified(view)) => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            if let Ok(etag) = HeaderValue::try_from(etag(view.version)) {
                response.headers_mut().insert(http::header::ETAG, etag);
            }
            response
        }
        Err(error) => problem(error),
    }
}

fn listed(result: Result<Listed, Error>) -> Response {
    let link = result.as_ref().ok().and_then(|page| HeaderValue::try_from(page.link.as_ref()?).ok());
    let mut response = ok(result.map(|page| page.users));
    if let Some(link) = link {
        response.headers_mut().insert(http::header::LINK, link);
    }
    response
}
