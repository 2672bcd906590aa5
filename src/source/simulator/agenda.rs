//! What happens next in virtual time: a heap of dues, in order of time, then of their making.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::types::Micros;

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// Sessions open up to the audience's size; chat, tips and accounts get their share of events.
    Tick,
    /// This channel goes on air.
    StreamStart { channel: usize },
    /// This stream goes off air.
    StreamEnd { stream: usize },
    /// The broadcaster of this stream changes the quality, if it is still the stream with this serial number.
    QualityChange { stream: usize, serial: u64 },
    /// A session sends what is due, or leaves.
    Session { session: usize },
}

/// The dues ahead.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(Micros, u64, Due)>>,
    made: u64,
}

impl Agenda {
    pub(super) fn push(&mut self, at: Micros, due: Due) {
        self.made += 1;
        self.heap.push(Reverse((at, self.made, due)));
    }

    /// When the next due is.
    pub(super) fn next_at(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<(Micros, Due)> {
        self.heap.pop().map(|Reverse((at, _, due))| (at, due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dues_come_by_time_and_then_as_they_were_made() {
        let mut agenda = Agenda::default();
        agenda.push(5, Due::Session { session: 9 });
        agenda.push(3, Due::Session { session: 1 });
        agenda.push(5, Due::Tick);
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(order, [(3, Due::Session { session: 1 }), (5, Due::Session { session: 9 }), (5, Due::Tick)]);
    }
}
