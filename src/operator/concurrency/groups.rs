//! The step functions of one query, folded over its current window.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::counted::{Arrival, Counted};
use super::viewers::{NOBODY, Viewers};
use crate::types::Micros;

/// A step function over the current window: value, extremes, integral.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Steps {
    /// The value now.
    pub value: i64,
    min: i64,
    max: i64,
    /// ∫ value dt over the window up to `until`, in value-microseconds.
    integral: i128,
    until: Micros,
    /// No instant of the window has been folded in yet.
    fresh: bool,
}

/// What a window says about a step function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StepStats {
    pub min: i64,
    pub max: i64,
    /// The value just before the window's end.
    pub current: i64,
    pub integral: i128,
}

impl Steps {
    pub(super) fn begin_at(value: i64, window_start: Micros) -> Self {
        Self { value, min: value, max: value, integral: 0, until: window_start, fresh: true }
    }

    /// Adds all changes of one instant together: two sessions that swap at an instant are never counted as two.
    pub(super) fn change(&mut self, t: Micros, by: i64) {
        let held = t > self.until;
        if held {
            self.integral += i128::from(self.value) * i128::from(t - self.until);
            self.until = t;
            if self.fresh {
                self.min = self.value;
                self.max = self.value;
                self.fresh = false;
            }
        }
        self.value += by;
        if self.fresh {
            // Still at the window's first instant.
            self.min = self.value;
            self.max = self.value;
        } else {
            self.min = self.min.min(self.value);
            self.max = self.max.max(self.value);
        }
    }

    /// The figures of the window up to `end`, before which every change lies.
    pub(super) fn stats(&self, end: Micros) -> StepStats {
        let integral = self.integral + i128::from(self.value) * i128::from(end - self.until);
        StepStats { min: self.min, max: self.max, current: self.value, integral }
    }

    /// The window's figures; the next window begins where this one ends.
    pub(super) fn finish(&mut self, window_end: Micros) -> StepStats {
        let stats = self.stats(window_end);
        *self = Self::begin_at(self.value, window_end);
        stats
    }
}

/// A change of one group's count, with the viewer behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupDelta {
    pub group: u32,
    pub time: Micros,
    pub change: i8,
    pub viewer: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Group {
    steps: Steps,
    /// Distinct viewers present now.
    live: i64,
    /// Distinct viewers present at some instant of the window.
    unique: i64,
}

/// All groups of one query.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Groups {
    size: Micros,
    window_start: Micros,
    groups: HashMap<u32, Group>,
    /// Who is present, or was in this window.
    counted: Counted,
    /// Groups and viewers whose last session left in this window.
    gone: Vec<(u32, u32)>,
}

/// One group's row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct GroupStats {
    pub group: u32,
    pub steps: StepStats,
    pub unique: i64,
}

impl Groups {
    pub(super) fn new(size: Micros, window_start: Micros) -> Self {
        Self { size, window_start, groups: HashMap::new(), counted: Counted::default(), gone: Vec::new() }
    }

    /// How many groups the current window has so far.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether somebody is or was counted in the group in the current window.
    pub(super) fn contains(&self, group: u32) -> bool {
        self.groups.contains_key(&group)
    }

    /// The groups have other numbers: by old one the new one. Those of all groups that there are have one.
    pub(super) fn renumber(&mut self, new: impl Fn(u32) -> Option<u32>) {
        self.groups = self.groups.drain().filter_map(|(group, counts)| Some((new(group)?, counts))).collect();
        self.gone = self.gone.drain(..).filter_map(|(group, viewer)| Some((new(group)?, viewer))).collect();
        self.counted.renumber(new);
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.groups.capacity() * (size_of::<(u32, Group)>() + 1)
            + self.counted.bytes()
            + self.gone.capacity() * size_of::<(u32, u32)>()
    }

    pub(super) fn window_start(&self) -> Micros {
        self.window_start
    }

    pub(super) fn window_end(&self) -> Micros {
        self.window_start + self.size
    }

    /// Moves an empty state to another window.
    pub(super) fn jump(&mut self, window_start: Micros) {
        self.window_start = window_start;
        for group in self.groups.values_mut() {
            group.steps = Steps::begin_at(group.steps.value, window_start);
        }
    }

    /// Folds changes in; they must be sorted by (group, time) and lie in the current window.
    pub(super) fn apply(&mut self, deltas: &[GroupDelta], viewers: &mut Viewers) {
        let window_start = self.window_start;
        for of_group in deltas.chunk_by(|a, b| a.group == b.group) {
            let Some(first) = of_group.first() else { continue };
            let group = self.groups.entry(first.group).or_insert_with(|| Group {
                steps: Steps::begin_at(0, window_start),
                live: 0,
                unique: 0,
            });
            for at_instant in of_group.chunk_by(|a, b| a.time == b.time) {
                let time = at_instant.first().map_or(first.time, |d| d.time);
                group.steps.change(time, at_instant.iter().map(|d| i64::from(d.change)).sum());
                // Arrivals first: who swaps one session for another at an instant is never gone.
                for delta in at_instant.iter().filter(|d| d.change > 0 && d.viewer != NOBODY) {
                    match self.counted.arrive(delta.group, delta.viewer) {
                        Arrival::New => {
                            viewers.name(delta.viewer);
                            group.unique += 1;
                            group.live += 1;
                        }
                        Arrival::Back => group.live += 1,
                        Arrival::Another => {}
                    }
                }
                for delta in at_instant.iter().filter(|d| d.change < 0 && d.viewer != NOBODY) {
                    if !self.counted.leave(delta.group, delta.viewer) {
                        continue;
                    }
                    group.live -= 1;
                    if delta.time == window_start {
                        // Present up to the window, at no instant of it.
                        group.unique -= 1;
                        self.counted.forget(delta.group, delta.viewer);
                        viewers.unname(delta.viewer);
                    } else {
                        self.gone.push((delta.group, delta.viewer));
                    }
                }
            }
        }
    }

    /// The viewers that it counts, each once for each of its groups.
    pub(super) fn viewers(&self) -> impl Iterator<Item = u32> {
        self.counted.viewers()
    }

    /// The rows of the window up to `end`, by group; every change lies before that.
    pub(super) fn stats(&self, end: Micros) -> Vec<GroupStats> {
        let groups = self.groups.iter();
        let mut rows: Vec<GroupStats> =
            groups.map(|(&group, g)| GroupStats { group, steps: g.steps.stats(end), unique: g.unique }).collect();
        rows.sort_unstable_by_key(|r| r.group);
        rows
    }

    /// The window's rows, by group; the next window begins.
    pub(super) fn finish(&mut self, viewers: &mut Viewers) -> Vec<GroupStats> {
        let end = self.window_end();
        let rows = self.stats(end);
        self.groups.retain(|_, g| g.steps.value != 0 || g.live != 0);
        for group in self.groups.values_mut() {
            group.steps = Steps::begin_at(group.steps.value, end);
            group.unique = group.live;
        }
        for (group, viewer) in self.gone.drain(..) {
            if self.counted.forget(group, viewer) {
                viewers.unname(viewer);
            }
        }
        self.window_start = end;
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(time: Micros, change: i8, viewer: u32) -> GroupDelta {
        GroupDelta { group: 0, time, change, viewer }
    }

    #[test]
    fn extremes_integral_and_uniques_of_a_window() {
        let (mut g, v) = (Groups::new(60, 0), &mut Viewers::default());
        g.apply(&[delta(10, 1, 7), delta(40, -1, 7)], v);
        let rows = g.finish(v);
        assert_eq!(rows[0].steps, StepStats { min: 0, max: 1, current: 0, integral: 30 });
        assert_eq!(rows[0].unique, 1);
        assert!(g.finish(v).is_empty());
    }

    #[test]
    fn a_swap_at_one_instant_is_a_peak_of_one() {
        let (mut g, v) = (Groups::new(60, 0), &mut Viewers::default());
        g.apply(&[delta(0, 1, 1), delta(30, -1, 1), delta(30, 1, 2)], v);
        let row = g.finish(v)[0];
        assert_eq!((row.steps.min, row.steps.max, row.unique), (1, 1, 2));
    }

    #[test]
    fn who_leaves_at_the_windows_start_is_not_in_it() {
        let (mut g, v) = (Groups::new(60, 0), &mut Viewers::default());
        g.apply(&[delta(0, 1, 1), delta(0, 1, 2)], v);
        g.finish(v);
        g.apply(&[delta(60, -1, 1)], v);
        let row = g.finish(v)[0];
        assert_eq!((row.steps.min, row.steps.max, row.unique), (1, 1, 1));
    }

    #[test]
    fn who_comes_back_is_one_viewer() {
        let (mut g, v) = (Groups::new(60, 0), &mut Viewers::default());
        g.apply(&[delta(0, 1, 1), delta(10, -1, 1), delta(20, 1, 1), delta(30, -1, 1)], v);
        assert_eq!(g.finish(v)[0].unique, 1);
        g.apply(&[delta(70, 1, 1)], v);
        assert_eq!(g.finish(v)[0].unique, 1);
    }
}
