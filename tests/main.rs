//! The integration tests of Headcount, in one binary so that DataFusion is linked once.

mod reference;
mod reference_self;
