//! The integration tests of Headcount, in one binary so that DataFusion is linked once.

mod harness;
mod parity;
mod reference;
mod reference_self;
mod tidy;
