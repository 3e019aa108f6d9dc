//! The web side of analytics, all of it.

use kit::http::{Response, accepted, any_of, body, health_routes, method_not_allowed, ok, query, route};
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::{Analytics, handlers};

/// Everything this backend answers.
pub(crate) fn routes(analytics: Analytics) -> BoxedFilter<(Response,)> {
    let body = body(analytics.config.body_bytes_max);
    let summary = warp::path!("analytics");
    let events = warp::path!("analytics" / "events");
    let health = {
        let analytics = analytics.clone();
        move || {
            let analytics = analytics.clone();
            async move { analytics.health().await }
        }
    };
    let analytics = warp::any().map(move || analytics.clone());

    let get = summary.and(warp::get()).and(query()).and(analytics.clone()).then(handlers::get_summary).map(ok);
    let accept = events.and(warp::post()).and(body).and(analytics).then(handlers::accept_events).map(accepted);

    let mut routes = vec![
        route("GET /analytics", get),
        method_not_allowed(summary, "GET, HEAD"),
        route("POST /analytics/events", accept),
        method_not_allowed(events, "POST"),
    ];
    routes.extend(health_routes(health));
    any_of(routes)
}
