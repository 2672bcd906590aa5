//! Which shard a partition key belongs to, as Kinesis decides it.

use md5::{Digest, Md5};

/// The shard, from 0, that takes `partition_key` when the stream's hash range is cut into `shards` even parts; 0 when there is none.
///
/// Kinesis hashes the key with MD5 to a 128-bit integer and gives it to the shard whose range holds it; a stream created with a
/// number of shards gets ranges of `⌊2^128 / shards⌋`, the last one taking the rest.
/// See <https://docs.aws.amazon.com/streams/latest/dev/key-concepts.html#partition-key>.
pub fn shard_index(partition_key: &str, shards: u32) -> u32 {
    if shards <= 1 {
        return 0;
    }
    let hash = u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into());
    // 2^128 does not fit: for a power of two its quotient is one more than that of 2^128 - 1.
    let width = u128::MAX / u128::from(shards) + u128::from(shards.is_power_of_two());
    u32::try_from(hash / width).unwrap_or(u32::MAX).min(shards - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_range_is_cut_evenly() {
        // MD5("a") = 0cc175b9…, MD5("b") = 92eb5ffe…, MD5("c") = 4a8a08f0…
        assert_eq!(["a", "b", "c"].map(|key| shard_index(key, 4)), [0, 2, 1]);
        assert_eq!(["a", "b", "c"].map(|key| shard_index(key, 16)), [0, 9, 4]);
        assert_eq!(["a", "b", "c"].map(|key| shard_index(key, 3)), [0, 1, 0]);
        assert_eq!(shard_index("b", 1), 0);
        assert_eq!(shard_index("b", 0), 0);
    }
}
