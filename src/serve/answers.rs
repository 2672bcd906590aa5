//! The answer to each path.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use super::now_document::{NowDocument, NowQuestion};
use super::status_document::StatusDocument;
use crate::clock::Clock;
use crate::engine::board::{Board, Fitness, Phase, Readiness};
use crate::error::{Domain, Error, Result};

/// The Prometheus text format's media type, as its specification gives it
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the server shows.
#[derive(Debug, Clone)]
pub struct Exhibits {
    /// The page of metrics.
    pub metrics: PrometheusHandle,
    /// What the job says about itself.
    pub board: Arc<Board>,
    /// Tells how old news are.
    pub clock: Arc<dyn Clock>,
}

/// The answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadyDocument {
    /// `ready` or `degraded` (with 200), or `not_ready` (with 503).
    pub status: &'static str,
    /// What speaks against `ready`.
    pub reasons: Vec<ReasonDocument>,
}

/// Why a job is not simply ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonDocument {
    /// One of `lake_not_reached`, `stream_not_reached`, `shards_not_read`, `stopping`, `failed` (not ready); `lagging`,
    /// `shards_silent`, `lake_stalled` (degraded).
    pub code: &'static str,
    /// The same for people, with shards and figures.
    pub message: String,
}

type Fresh<T> = (StatusCode, [(HeaderName, &'static str); 2], T);

/// An answer that no cache may give again.
fn fresh<T>(status: StatusCode, media_type: &'static str, body: T) -> Fresh<T> {
    (status, [(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-store")], body)
}

fn json(status: StatusCode, document: &impl Serialize) -> Fresh<String> {
    // Structs with text keys and finite numbers: it does not fail. Were it to, whoever asks must not take it for a state.
    match serde_json::to_string_pretty(document) {
        Ok(body) => fresh(status, "application/json", body + "\n"),
        Err(e) => fresh(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", e.to_string()),
    }
}

/// Every metric, as it was at the last second.
pub(super) async fn metrics(State(exhibits): State<Exhibits>) -> Fresh<String> {
    fresh(StatusCode::OK, TEXT_FORMAT, exhibits.metrics.render())
}

/// Liveness only: it answers as long as the process can answer. Whether the consumer makes progress is another question with
/// another reader: a supervisor that restarted a consumer for being behind would put it further behind.
pub(super) async fn healthz() -> Fresh<&'static str> {
    fresh(StatusCode::OK, "text/plain; charset=utf-8", "ok\n")
}

/// Whether the job is fit for work.
pub(super) async fn readyz(State(exhibits): State<Exhibits>) -> Fresh<String> {
    let document = ReadyDocument::of(&Readiness::of(&exhibits.board.status(), exhibits.clock.now()));
    let status = if document.status == "not_ready" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    json(status, &document)
}

/// What the job is doing.
pub(super) async fn status(State(exhibits): State<Exhibits>) -> Fresh<String> {
    json(StatusCode::OK, &StatusDocument::of(&exhibits.board.status(), exhibits.clock.now()))
}

/// Who is watching now.
pub(super) async fn now(State(exhibits): State<Exhibits>, RawQuery(question): RawQuery) -> Fresh<String> {
    match now_document(&exhibits, question.as_deref().unwrap_or_default()).await {
        Ok(document) => json(StatusCode::OK, &document),
        Err(error) => refusal(&error),
    }
}

async fn now_document(exhibits: &Exhibits, question: &str) -> Result<NowDocument> {
    let question = NowQuestion::parse(question)?;
    match exhibits.board.status().phase {
        Phase::Running | Phase::Stopping => {}
        Phase::Starting => {
            return Err(Error::external("no answer: the job has not begun").hint("/readyz says when it has"));
        }
        Phase::Failed => return Err(Error::external("no answer: the job has failed").hint("/api/status says why")),
    }
    let windows = exhibits.board.inquiries().ask(&question.table).await?;
    NowDocument::of(&question, &windows, exhibits.clock.now())
}

/// What cannot be answered, as text: what was asked wrongly, what may be asked again, what is a defect.
fn refusal(error: &Error) -> Fresh<String> {
    let status = match error.domain() {
        Domain::User => StatusCode::BAD_REQUEST,
        Domain::External | Domain::Successor => StatusCode::SERVICE_UNAVAILABLE,
        Domain::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let remedy = error.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    fresh(status, "text/plain; charset=utf-8", format!("{}{remedy}\n", error.message()))
}

impl ReadyDocument {
    /// The answer for a verdict.
    pub fn of(readiness: &Readiness) -> Self {
        let status = match readiness.fitness {
            Fitness::Ready => "ready",
            Fitness::Degraded => "degraded",
            Fitness::NotReady => "not_ready",
        };
        let reasons = readiness.reasons.iter();
        let reasons = reasons.map(|r| ReasonDocument { code: r.code, message: r.message.clone() }).collect();
        Self { status, reasons }
    }
}
