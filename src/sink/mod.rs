//! Where results go: the lake, partitioned Parquet on a disk or in an S3 bucket; and metrics of Amazon CloudWatch.

pub mod cloudwatch;
pub mod lake;
