//! The streams that a shard saw last: a few, and nearly every row is of one of them.

use super::mark::{IdHash, hash_id};
use crate::types::Micros;

/// Slots, a power of two: streams that share one put each other out.
const SLOTS_BITS: u32 = 9;

/// A stream by its text.
#[derive(Debug, Clone, Default)]
struct Slot {
    text: Vec<u8>,
    hash: IdHash,
    /// A bucket, and the stream's place in it.
    place: Option<(Micros, u32)>,
}

/// Hashes of streams' ids, and their places in the bucket that they were in last, by the ids' texts.
#[derive(Debug, Default)]
pub(super) struct KnownStreams {
    /// Empty before the first.
    slots: Vec<Slot>,
}

impl KnownStreams {
    /// The hash of a stream, and its place in `bucket`, which is found by the hash if it is not known.
    #[inline]
    pub(super) fn find(&mut self, text: &[u8], bucket: Micros, place: impl FnOnce(IdHash) -> u32) -> (IdHash, u32) {
        let slot = (mix(text) >> (u64::BITS - SLOTS_BITS)) as usize;
        let Some(slot) = self.slots.get_mut(slot) else {
            self.slots = vec![Slot::default(); 1 << SLOTS_BITS];
            let hash = hash_id(text);
            return (hash, place(hash));
        };
        if slot.text != text || slot.hash == 0 {
            slot.text.clear();
            slot.text.extend_from_slice(text);
            (slot.hash, slot.place) = (hash_id(text), None);
        }
        match slot.place {
            Some((known, place)) if known == bucket => (slot.hash, place),
            _ => {
                let place = place(slot.hash);
                slot.place = Some((bucket, place));
                (slot.hash, place)
            }
        }
    }

    /// Buckets are no more what they were.
    pub(super) fn forget_places(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.place = None);
    }
}

/// Tells most ids apart by their ends.
#[inline]
fn mix(text: &[u8]) -> u64 {
    let ends = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first).rotate_left(25) ^ u64::from_le_bytes(*last),
        _ => text.iter().fold(0, |bytes, byte| bytes << u8::BITS | u64::from(*byte)),
    };
    (ends ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn hashes_and_places_are_those_of_the_text_and_the_bucket() {
        let mut known = KnownStreams::default();
        let mut places: HashMap<(Micros, IdHash), u32> = HashMap::new();
        let texts: Vec<String> =
            (0..3_000).map(|n| if n % 2 == 0 { format!("{n}") } else { format!("stream/{n}/of many") }).collect();
        for round in 0..30_000_usize {
            let text = texts[round * round % texts.len()].as_bytes();
            let bucket = (round / 100 % 3) as Micros;
            let next = places.len() as u32;
            let (hash, place) = known.find(text, bucket, |hash| *places.entry((bucket, hash)).or_insert(next));
            assert_eq!((hash, Some(&place)), (hash_id(text), places.get(&(bucket, hash))), "{round}");
            if round % 1_000 == 999 {
                places.clear();
                known.forget_places();
            }
        }
        assert_eq!(known.find(b"", 0, |_| 7), (hash_id(b""), 7));
    }
}
