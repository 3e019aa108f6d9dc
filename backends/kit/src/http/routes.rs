//! Routes as warp knows them: named, tried in order, and what is said where none fits. `table` makes them.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use warp::filters::BoxedFilter;
use warp::{Filter, Rejection, Reply};

use super::reply::{Response, problem};
use crate::problem::Problem;

/// A route's name in metrics and logs, such as `GET /users/{id}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteName(pub(super) &'static str);

/// One route, named for metrics and logs.
pub(super) fn route<F, R>(name: &'static str, filter: F) -> BoxedFilter<(Response,)>
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

/// Tries the routes in order; where none fits, the path is unknown.
pub fn any_of(routes: Vec<BoxedFilter<(Response,)>>) -> BoxedFilter<(Response,)> {
    let unknown = warp::any().map(|| problem(plain(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path".to_owned())));
    routes.into_iter().rev().fold(unknown.boxed(), |rest, route| route.or(rest).unify().boxed())
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
    let refuse = path.map(|| refuse_method(HeaderValue::from_static("GET, HEAD"), "GET, HEAD"));
    vec![route(name, show), refuse.boxed()]
}

/// What a method gets that is none of `allow`.
pub(super) fn refuse_method(value: HeaderValue, allow: &str) -> Response {
    let mut response = problem(plain(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("this path takes {allow}")));
    response.headers_mut().insert(ALLOW, value);
    response
}

fn plain(status: StatusCode, code: &'static str, detail: String) -> Problem {
    Problem { status, code, chain: detail.clone(), detail, fields: Vec::new() }
}
