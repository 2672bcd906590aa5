//! The shards of a stream.

use aws_sdk_kinesis::types::Shard;

use crate::types::ShardId;

/// One shard, as ListShards tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// `shardId-000000000000`.
    pub id: ShardId,
    /// The shards it came from by a split or a merge: none, one or two. They may be gone from the list already.
    pub parents: Vec<ShardId>,
    /// Whether it takes no more records: it was split or merged.
    pub closed: bool,
    /// First and last hash key that it takes, inclusive.
    pub hash_range: (u128, u128),
}

impl ShardInfo {
    pub(super) fn from_sdk(shard: &Shard) -> Self {
        let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
        let key = |text: &str| text.parse().unwrap_or_default();
        Self {
            id: shard.shard_id().into(),
            parents: parents.into_iter().flatten().map(ShardId::from).collect(),
            closed: shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some()),
            hash_range: shard
                .hash_key_range()
                .map_or((0, u128::MAX), |range| (key(range.starting_hash_key()), key(range.ending_hash_key()))),
        }
    }
}
