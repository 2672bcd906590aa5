//! Which group a session counts in, where the stream's own number does not say it.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Groups that are gone are not worth forgetting before there are as many as are left, and so many more.
const GONE_MIN: usize = 1_024;

/// A group by its stream (0 where the query does not count by it) and the values of its dimensions.
type GroupKey = (u32, Vec<Option<Box<str>>>);

/// Numbers of groups, by stream and interned dimensions.
///
/// A group has its number as long as somebody may be counted in it. When most are gone, [`Self::forget`] gives those that are left the
/// first numbers: viewers and the places that they watch from come and go, and a number each would be kept for ever.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Numbering {
    /// By number: the stream, and a tuple with the values.
    members: Vec<(u32, u32)>,
    /// What was asked before. Several tuples may be one group: they differ in dimensions of other queries.
    numbers: HashMap<(u32, u32), u32>,
    by_values: HashMap<GroupKey, u32>,
}

impl Numbering {
    /// The number of the group of `stream` and `tuple`, whose values of the query's dimensions are `values`.
    pub(super) fn number(&mut self, stream: u32, tuple: u32, values: impl FnOnce() -> Vec<Option<Box<str>>>) -> u32 {
        let Self { members, numbers, by_values } = self;
        *numbers.entry((stream, tuple)).or_insert_with(|| {
            *by_values.entry((stream, values())).or_insert_with(|| {
                members.push((stream, tuple));
                (members.len() - 1) as u32
            })
        })
    }

    /// Stream and tuple of a group.
    pub(super) fn member(&self, group: u32) -> (u32, u32) {
        self.members.get(group as usize).copied().unwrap_or_default()
    }

    /// The tuples that members are told by.
    pub(super) fn tuples(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|(_, tuple)| *tuple)
    }

    /// Whether most groups are gone, of which so many are `left`.
    pub(super) fn is_mostly_gone(&self, left: usize) -> bool {
        let many = 2 * left + GONE_MIN;
        self.members.len() > many || self.numbers.len() > 4 * many
    }

    /// Forgets all groups but those that are `left`, which get the first numbers, in their order. By old number: the new one.
    pub(super) fn forget(&mut self, left: impl Fn(u32) -> bool) -> Vec<Option<u32>> {
        let mut kept = Vec::new();
        let renumbered: Vec<Option<u32>> = (0..)
            .zip(&self.members)
            .map(|(number, member)| {
                left(number).then(|| {
                    kept.push(*member);
                    (kept.len() - 1) as u32
                })
            })
            .collect();
        let new = |old: u32| renumbered.get(old as usize).copied().flatten();
        self.members = kept;
        self.numbers = self.numbers.drain().filter_map(|(asked, old)| Some((asked, new(old)?))).collect();
        self.by_values = self.by_values.drain().filter_map(|(values, old)| Some((values, new(old)?))).collect();
        // What was asked is asked again at once where it still is: it need not be kept beyond the groups.
        if self.is_mostly_gone(self.members.len()) {
            self.numbers = HashMap::new();
        }
        renumbered
    }

    /// Tuples have other numbers: by old one the new one. Those of all members are among them.
    pub(super) fn retuple(&mut self, new: impl Fn(u32) -> u32) {
        self.members.iter_mut().for_each(|(_, tuple)| *tuple = new(*tuple));
        self.numbers = HashMap::new();
    }

    /// Memory, in bytes, but for the values' texts.
    pub(super) fn bytes(&self) -> usize {
        self.members.capacity() * size_of::<(u32, u32)>()
            + self.numbers.capacity() * (size_of::<((u32, u32), u32)>() + 1)
            + self.by_values.capacity() * (size_of::<(GroupKey, u32)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(numbering: &mut Numbering, tuple: u32, value: &str) -> u32 {
        numbering.number(7, tuple, || vec![Some(value.into())])
    }

    #[test]
    fn groups_that_are_left_get_the_first_numbers_in_their_order() {
        let mut numbering = Numbering::default();
        let given = [(1, "a"), (2, "b"), (3, "c"), (4, "b")].map(|(tuple, value)| number(&mut numbering, tuple, value));
        assert_eq!(given, [0, 1, 2, 1], "one group by its values");
        assert_eq!(numbering.forget(|group| group != 0), [None, Some(0), Some(1)]);
        assert_eq!((numbering.member(0), numbering.member(1)), ((7, 2), (7, 3)));
        let given = [(4, "b"), (3, "c"), (1, "a")].map(|(tuple, value)| number(&mut numbering, tuple, value));
        assert_eq!(given, [0, 1, 2], "the one that was forgotten is a new one");
        numbering.retuple(|tuple| tuple + 10);
        assert_eq!(numbering.tuples().collect::<Vec<_>>(), [12, 13, 11]);
        assert_eq!(number(&mut numbering, 12, "b"), 0);
    }

    #[test]
    fn it_is_time_to_forget_when_most_are_gone() {
        let mut numbering = Numbering::default();
        for tuple in 0..5_000 {
            number(&mut numbering, tuple, &tuple.to_string());
        }
        assert!(!numbering.is_mostly_gone(2_500) && numbering.is_mostly_gone(1_000));
        let before = numbering.bytes();
        numbering.forget(|group| group < 100);
        assert!(!numbering.is_mostly_gone(100) && numbering.bytes() * 20 < before);
        // Many tuples of one group are forgotten too.
        for tuple in 0..5_000 {
            number(&mut numbering, tuple, "0");
        }
        assert!(numbering.is_mostly_gone(1), "{numbering:?}");
        numbering.forget(|group| group < 100);
        assert!(!numbering.is_mostly_gone(1));
    }
}
