//! `/metrics`: the Prometheus page.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use metrics_exporter_prometheus::PrometheusHandle;

/// The text format's media type, as its specification gives it
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric as it stands now.
pub(super) async fn metrics(State(handle): State<PrometheusHandle>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, TEXT_FORMAT)], handle.render())
}
