//! The CloudWatch sink against a double that enforces the service's limits.

mod limits;
#[cfg(feature = "embedded")]
mod live;
mod meaning;
mod publishing;
mod scene;
