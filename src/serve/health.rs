//! `/healthz`: is the process alive?
//!
//! Liveness only: it answers as long as the process can answer. Whether the consumer makes progress is another question with
//! another reader (a load balancer must not be confused with a supervisor), and gets a path of its own, `/readyz`, here.

use axum::http::header::{CACHE_CONTROL, HeaderName};

/// `200 ok`, never cached.
pub(super) async fn healthz() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}
