//! Which viewers a query counts, in which groups and by how many sessions.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::{Deserialize, Serialize};

/// What a session's coming means for its viewer in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is not counted in this window yet.
    New,
    /// It was counted, and has no session.
    Back,
    /// It has a session already.
    Another,
}

/// The group that a viewer is counted in by one session, or was until that left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place(u32);

impl Place {
    /// In no group.
    const NONE: Self = Self(0);

    fn of(group: u32, gone: bool) -> Self {
        Self((group + 1) << 1 | u32::from(gone))
    }

    fn is_in(self, group: u32) -> bool {
        self.0 >> 1 == group + 1
    }

    fn is_gone(self) -> bool {
        self.0 & 1 == 1
    }

    /// Its group, if it has one.
    fn group(self) -> Option<u32> {
        (self.0 >> 1).checked_sub(1)
    }
}

/// The viewers of a query. Those whose last session left stay, counted already, until they are forgotten at the end of the window.
///
/// Nearly everybody watches in one group, by one session: that takes four bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Counted {
    /// By viewer.
    places: Vec<Place>,
    /// By group and viewer: of a viewer at its place, the sessions beside the one; else all of them, which may be none.
    more: HashMap<(u32, u32), u32>,
}

impl Counted {
    /// A session of `viewer` has come to `group`.
    pub(super) fn arrive(&mut self, group: u32, viewer: u32) -> Arrival {
        let place = self.place_mut(viewer);
        if place.is_in(group) {
            if place.is_gone() {
                *place = Place::of(group, false);
                return Arrival::Back;
            }
            *self.more.entry((group, viewer)).or_default() += 1;
            return Arrival::Another;
        }
        let is_free = *place == Place::NONE;
        if is_free && (self.more.is_empty() || !self.more.contains_key(&(group, viewer))) {
            *self.place_mut(viewer) = Place::of(group, false);
            return Arrival::New;
        }
        match self.more.entry((group, viewer)) {
            Entry::Occupied(mut sessions) => {
                *sessions.get_mut() += 1;
                if *sessions.get() == 1 { Arrival::Back } else { Arrival::Another }
            }
            Entry::Vacant(new) => {
                new.insert(1);
                Arrival::New
            }
        }
    }

    /// A session of `viewer` has left `group`. Whether it was the last.
    pub(super) fn leave(&mut self, group: u32, viewer: u32) -> bool {
        let place = self.places.get(viewer as usize).copied().unwrap_or_default();
        if !place.is_in(group) {
            let Some(sessions) = self.more.get_mut(&(group, viewer)).filter(|sessions| **sessions > 0) else {
                return false;
            };
            *sessions -= 1;
            return *sessions == 0;
        }
        if !self.more.is_empty()
            && let Entry::Occupied(mut others) = self.more.entry((group, viewer))
        {
            *others.get_mut() -= 1;
            if *others.get() == 0 {
                others.remove();
            }
            return false;
        }
        *self.place_mut(viewer) = Place::of(group, true);
        !place.is_gone()
    }

    /// Forgets a viewer of a group that has no session. Whether there was one.
    pub(super) fn forget(&mut self, group: u32, viewer: u32) -> bool {
        let place = self.place_mut(viewer);
        if place.is_in(group) {
            let gone = place.is_gone();
            if gone {
                *place = Place::NONE;
            }
            return gone;
        }
        let gone = self.more.get(&(group, viewer)) == Some(&0);
        if gone {
            self.more.remove(&(group, viewer));
        }
        gone
    }

    fn place_mut(&mut self, viewer: u32) -> &mut Place {
        let viewer = viewer as usize;
        if viewer >= self.places.len() {
            // By a quarter, and not to the double: there may be millions.
            if viewer >= self.places.capacity() {
                let more = viewer + 1 - self.places.len();
                self.places.reserve_exact(more.max(self.places.len() / 4));
            }
            self.places.resize(viewer + 1, Place::NONE);
        }
        &mut self.places[viewer]
    }

    /// The groups have other numbers: by old one the new one. Those of all groups that there are have one.
    pub(super) fn renumber(&mut self, new: impl Fn(u32) -> Option<u32>) {
        for place in &mut self.places {
            if let Some(group) = place.group() {
                *place = new(group).map_or(Place::NONE, |group| Place::of(group, place.is_gone()));
            }
        }
        let more = self.more.drain();
        self.more = more.filter_map(|((group, viewer), sessions)| Some(((new(group)?, viewer), sessions))).collect();
    }

    /// The viewers, each once for each group that it is counted in.
    pub(super) fn viewers(&self) -> impl Iterator<Item = u32> {
        let at_places = (0..).zip(&self.places).filter(|(_, place)| **place != Place::NONE).map(|(viewer, _)| viewer);
        let is_at_place =
            |(group, viewer): &(u32, u32)| self.places.get(*viewer as usize).is_some_and(|p| p.is_in(*group));
        at_places.chain(self.more.keys().filter(move |counted| !is_at_place(counted)).map(|(_, viewer)| *viewer))
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>() + self.more.capacity() * (size_of::<((u32, u32), u32)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The same, said plainly: sessions by group and viewer.
    #[derive(Default)]
    struct Plain(BTreeMap<(u32, u32), u32>);

    impl Plain {
        fn arrive(&mut self, group: u32, viewer: u32) -> Arrival {
            let arrival = match self.0.get(&(group, viewer)) {
                None => Arrival::New,
                Some(0) => Arrival::Back,
                Some(_) => Arrival::Another,
            };
            *self.0.entry((group, viewer)).or_default() += 1;
            arrival
        }

        fn leave(&mut self, group: u32, viewer: u32) -> bool {
            let Some(sessions) = self.0.get_mut(&(group, viewer)).filter(|n| **n > 0) else { return false };
            *sessions -= 1;
            *sessions == 0
        }

        fn forget(&mut self, group: u32, viewer: u32) -> bool {
            let gone = self.0.get(&(group, viewer)) == Some(&0);
            if gone {
                self.0.remove(&(group, viewer));
            }
            gone
        }
    }

    #[test]
    fn as_a_map_of_sessions_by_group_and_viewer() {
        let (mut counted, mut plain) = (Counted::default(), Plain::default());
        let mut random = 1_u64;
        for step in 0..200_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let draw = |bits: u32, below: u64| ((random >> bits) % below) as u32;
            let (group, viewer) = (draw(33, 3), 1 + draw(40, 5));
            match draw(50, 7) {
                0..=2 => assert_eq!(counted.arrive(group, viewer), plain.arrive(group, viewer), "{step}"),
                3..=5 => assert_eq!(counted.leave(group, viewer), plain.leave(group, viewer), "{step}"),
                _ => assert_eq!(counted.forget(group, viewer), plain.forget(group, viewer), "{step}"),
            }
            if step % 100 == 0 {
                let mut viewers: Vec<u32> = counted.viewers().collect();
                viewers.sort_unstable();
                let mut expected: Vec<u32> = plain.0.keys().map(|(_, viewer)| *viewer).collect();
                expected.sort_unstable();
                assert_eq!(viewers, expected, "{step}");
            }
        }
    }

    #[test]
    fn groups_get_other_numbers() {
        let mut counted = Counted::default();
        for (group, viewer) in [(5, 1), (5, 1), (7, 1), (7, 2), (9, 3)] {
            counted.arrive(group, viewer);
        }
        assert!(counted.leave(7, 2));
        counted.renumber(|group| (group != 9).then_some(group - 5));
        assert_eq!(counted.viewers().collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!((counted.leave(0, 1), counted.leave(0, 1), counted.leave(2, 1)), (false, true, true));
        assert_eq!(counted.arrive(2, 2), Arrival::Back);
        assert_eq!(counted.arrive(4, 3), Arrival::New);
    }
}
