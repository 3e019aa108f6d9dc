//! The pages the gateway answers itself: `/`, `/livez`, `/readyz`, `/version`, `/openapi.json`, `/docs/`, `/problems/`,
//! `/app/`. `exchange` calls it; no engine is known here.

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, VARY};
use serde::Serialize;
use serde_json::json;

use crate::answer::Answer;
use crate::exchange::Ask;
use crate::problem::Problem;
use crate::route::OwnPage;
use crate::{Gateway, Health, docs, problem_pages, request_id, status_page};

/// What `/livez` and `/readyz` say.
#[derive(Serialize)]
struct Ready {
    status: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The answer to a request for a page.
pub(crate) fn answer(gateway: &Gateway, page: OwnPage, ask: &Ask<'_>, request_id: &str) -> Answer {
    match page {
        OwnPage::Status => status(gateway, ask.accepts("text/html")),
        OwnPage::Livez => pass(),
        OwnPage::Readyz => readyz(gateway),
        OwnPage::Version => Answer::json(StatusCode::OK, &json!({ "version": gateway.version() })),
        OwnPage::Document => gateway.document().answer(ask.header.field("if-none-match"), request_id),
        OwnPage::Docs(file) => docs::answer(file),
        OwnPage::DocsElsewhere => docs::redirect(),
        OwnPage::Problems => problem_pages::list(problem_pages::Form::of(ask)),
        OwnPage::Problem(page) => problem_pages::show(page, problem_pages::Form::of(ask)),
        OwnPage::App(found) => gateway.app().map_or_else(|| Problem::NotFound.answer(request_id), |app| app.answer(found, ask)),
    }
}

fn status(gateway: &Gateway, wants_html: bool) -> Answer {
    let status = gateway.status();
    let code = match status.status {
        Health::Pass | Health::Warn => StatusCode::OK,
        Health::Fail => StatusCode::SERVICE_UNAVAILABLE,
    };
    let answer = if wants_html {
        let nonce = request_id::new();
        Answer::new(code, "text/html; charset=utf-8", status_page::render(&status, &nonce))
            .with(CONTENT_SECURITY_POLICY, &status_page::content_security_policy(&nonce))
    } else {
        Answer::json(code, &status)
    };
    answer.with(VARY, "accept")
}

/// Ready means: worth sending requests to. A draining gateway is not, and neither is one without a backend.
fn readyz(gateway: &Gateway) -> Answer {
    let down = || gateway.clusters().into_iter().find(|cluster| !cluster.has_live_endpoint());
    let detail = if gateway.is_draining() {
        "draining".to_owned()
    } else if !gateway.is_probed() {
        "no health round yet".to_owned()
    } else if let Some(cluster) = down() {
        format!("{} has no live replica", cluster.service.name())
    } else {
        return pass();
    };
    Answer::json(StatusCode::SERVICE_UNAVAILABLE, &Ready { status: Health::Fail, detail: Some(detail) })
}

fn pass() -> Answer {
    Answer::json(StatusCode::OK, &Ready { status: Health::Pass, detail: None })
}
