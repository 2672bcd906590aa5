<<<<<<< HEAD
//! All integration tests, in one binary so that linking happens once.

mod tidy;
=======
//! The integration tests of Headcount, in one binary so that DataFusion is linked once.

mod reference;
mod reference_self;
>>>>>>> e5228592425e416444134f1be4dc6e4a2f48b8f8
