//! What nobody counts under any more is forgotten: values of dimensions, and the groups of queries.
//!
//! Sessions and streams are forgotten one by one, when their time has come ([`super::bucket`]). What they counted under is shared, so
//! nobody's going tells that it is free: when there is more than twice what there was at the last look, it is looked which of it is used.

use hashbrown::HashMap;

use super::resolve::{Dimensions, Presence};
use super::rows::QueryWindows;

/// Tuples are not worth looking at before there are as many as were left at the last look, and so many more.
const MORE_MIN: usize = 1_024;

/// A tuple of dimension values.
type Tuple = Box<[Option<Box<str>>]>;

impl Presence {
    /// Forgets groups and values that nobody counts under, when most are so.
    pub(super) fn forget_unused(&mut self) {
        self.queries.iter_mut().filter(|query| query.is_mostly_gone()).for_each(QueryWindows::forget_groups);
        if !self.dimensions.have_grown() {
            return;
        }
        self.queries.iter_mut().for_each(QueryWindows::forget_groups);
        let of_sessions = self.sessions.iter().map(|(_, session)| session.dimensions);
        let of_queries = self.queries.iter().flat_map(QueryWindows::tuples);
        let new = self.dimensions.forget_all_but(&mut of_sessions.chain(of_queries));
        self.sessions.iter_mut().for_each(|session| session.dimensions = new(session.dimensions));
        self.queries.iter_mut().for_each(|query| query.retuple(&new));
    }

    /// Memory of what sessions count under, in bytes.
    pub(super) fn counted_bytes(&self) -> usize {
        self.dimensions.bytes() + self.queries.iter().map(QueryWindows::group_bytes).sum::<usize>()
    }
}

impl Dimensions {
    fn have_grown(&self) -> bool {
        self.values.len() > 2 * self.left + MORE_MIN
    }

    /// Forgets all tuples but that of nulls and those that are `used`. Gives by the number that a used one had the one that it has.
    fn forget_all_but(&mut self, used: &mut dyn Iterator<Item = u32>) -> impl Fn(u32) -> u32 + use<> {
        let mut is_used = vec![false; self.values.len()];
        for tuple in used.chain([0]) {
            if let Some(used) = is_used.get_mut(tuple as usize) {
                *used = true;
            }
        }
        let mut renumbered = Vec::with_capacity(self.values.len());
        let mut values: Vec<Tuple> = Vec::new();
        for (tuple, used) in std::mem::take(&mut self.values).into_iter().zip(is_used) {
            renumbered.push(values.len() as u32);
            if used {
                values.push(tuple);
            }
        }
        *self = Self::restored(values);
        move |tuple| renumbered.get(tuple as usize).copied().unwrap_or_default()
    }

    /// Memory, in bytes.
    fn bytes(&self) -> usize {
        let index = |index: &HashMap<Tuple, u32>| index.capacity() * (size_of::<(Tuple, u32)>() + 1);
        self.tuple_bytes + self.values.capacity() * size_of::<Tuple>() + index(&self.index)
    }
}

/// What a tuple takes beside its place: in the list and in the index.
pub(super) fn tuple_bytes(tuple: &[Option<Box<str>>]) -> usize {
    let texts: usize = tuple.iter().flatten().map(|text| text.len()).sum();
    2 * (size_of_val(tuple) + texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(text: &str) -> Tuple {
        Box::new([Some(text.into())])
    }

    #[test]
    fn tuples_in_use_stay_in_their_order() {
        let mut dimensions = Dimensions::restored(vec![Box::new([None]), tuple("a"), tuple("b"), tuple("c")]);
        let before = dimensions.bytes();
        let new = dimensions.forget_all_but(&mut [3, 1, 3].into_iter());
        assert_eq!([0, 1, 3].map(new), [0, 1, 2]);
        assert_eq!(dimensions.values, [Box::new([None]), tuple("a"), tuple("c")]);
        assert_eq!(dimensions.index[&tuple("c")], 2);
        assert_eq!(dimensions.index.len(), 3);
        assert!(dimensions.bytes() < before);
    }
}
