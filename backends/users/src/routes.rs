//! The web side of users, all of it.

use http::{HeaderValue, StatusCode};
use kit::http::{Response, any_of, body, health_routes, method_not_allowed, no_content, ok, problem, query, raw_json, route};
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::cached::View;
use crate::conditions::{Conditions, etag};
use crate::handlers::{self, Found, Listed};
use crate::{Error, Users};

/// Everything this backend answers.
pub(crate) fn routes(users: Users) -> BoxedFilter<(Response,)> {
    let body = body(users.config.body_bytes_max);
    let all = warp::path!("users");
    let one = warp::path!("users" / String);
    let conditions = warp::header::headers_cloned().map(|headers| Conditions::of(&headers));
    let health = {
        let users = users.clone();
        move || {
            let users = users.clone();
            async move { users.health().await }
        }
    };
    let users = warp::any().map(move || users.clone());

    let create = all.and(warp::post()).and(body.clone()).and(users.clone()).then(handlers::create_user).map(created);
    let list = all.and(warp::get()).and(query()).and(users.clone()).then(handlers::list_users).map(listed);
    let get = one.and(warp::get()).and(conditions).and(query()).and(users.clone()).then(handlers::get_user).map(found);
    let replace = one.and(warp::put()).and(conditions).and(body.clone()).and(users.clone()).then(handlers::replace_user).map(changed);
    let change = one.and(warp::patch()).and(conditions).and(body).and(users.clone()).then(handlers::change_user).map(changed);
    let delete = one.and(warp::delete()).and(conditions).and(query()).and(users).then(handlers::delete_user).map(no_content);

    let mut routes = vec![
        route("POST /users", create),
        route("GET /users", list),
        method_not_allowed(all, "GET, HEAD, POST"),
        route("GET /users/{id}", get),
        route("PUT /users/{id}", replace),
        route("PATCH /users/{id}", change),
        route("DELETE /users/{id}", delete),
        method_not_allowed(one.map(|_| ()).untuple_one(), "GET, HEAD, PUT, PATCH, DELETE"),
    ];
    routes.extend(health_routes(health));
    any_of(routes)
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
