//! Where results go. So far: the lake, partitioned Parquet on a disk or in an S3 bucket.

pub mod lake;
