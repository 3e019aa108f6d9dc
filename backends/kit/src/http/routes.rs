//! What makes a backend's `routes.rs` read as a list.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use warp::filters::BoxedFilter;
use warp::{Filter, Rejection, Reply};

use super::reply::{Response, json, problem};
use crate::health::{Health, Status};
use crate::problem::Problem;

/// A route's name in metrics and logs, such as `GET /users/{id}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteName(pub(super) &'static str);

/// One route, named for metrics and logs.
pub fn route<F, R>(name: &'static str, filter: F) -> BoxedFilter<(Response,)>
where
    F: Filter<Extract = (R,), Error = Rejection> + Send + Sync + 'static,
    R: Reply,
{
    let named = filter.map(move |reply: R| {
        let mut response = reply.into_response();
        response.extensions_mut().insert(RouteName(name));
        response
    });
    named.boxed()
}

/// The end of a path's routes: whatever method comes here, it is none of `allow`.
pub fn method_not_allowed<F>(path: F, allow: &'static str) -> BoxedFilter<(Response,)>
where
    F: Filter<Extract = (), Error = Rejection> + Send + Sync + 'static,
{
    let refuse = path.map(move || {
        let mut response = problem(plain(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("this path takes {allow}")));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        response
    });
    refuse.boxed()
}

/// Tries the routes in order; where none fits, the path is unknown.
pub fn any_of(routes: Vec<BoxedFilter<(Response,)>>) -> BoxedFilter<(Response,)> {
    let unknown = warp::any().map(|| problem(plain(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path".to_owned())));
    routes.into_iter().rev().fold(unknown.boxed(), |rest, route| route.or(rest).unify().boxed())
}

/// `/livez`, which says that the process runs, and `/readyz`, which says what `check` finds.
pub fn health_routes<C, F>(check: C) -> Vec<BoxedFilter<(Response,)>>
where
    C: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Health> + Send + 'static,
{
    let live = warp::path!("livez").and(warp::get()).map(|| json(StatusCode::OK, &Health::of([])));
    let ready = warp::path!("readyz").and(warp::get()).then(move || {
        let health = check();
        async move {
            let health = health.await;
            let can_serve = health.status != Status::Fail;
            json(if can_serve { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
        }
    });
    vec![
        route("GET /livez", live),
        method_not_allowed(warp::path!("livez"), "GET, HEAD"),
        route("GET /readyz", ready),
        method_not_allowed(warp::path!("readyz"), "GET, HEAD"),
    ]
}

/// One page at `/segment`, written anew for each request: what an operator's port shows.
pub fn page<R>(name: &'static str, segment: &'static str, content_type: &'static str, render: R) -> Vec<BoxedFilter<(Response,)>>
where
    R: Fn() -> String + Clone + Send + Sync + 'static,
{
    let path = warp::path(segment).and(warp::path::end());
    let show = path.and(warp::get()).map(move || {
        let mut response = Response::new(render().into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    });
    vec![route(name, show), method_not_allowed(path, "GET, HEAD")]
}

fn plain(status: StatusCode, code: &'static str, detail: String) -> Problem {
    Problem { status, code, chain: detail.clone(), detail, fields: Vec::new() }
}
