//! How windows lie on the axis of time, and which of them a row is in.

use serde::{Deserialize, Serialize};

use crate::types::{Micros, floor_to};

/// Windows of one `size`, one for every `slide`, aligned to the epoch. A tumbling window slides by its own size; otherwise the
/// size is a multiple of the slide.
///
/// ```text
///  slide 1, size 3      pane ending at   1   2   3   4   5
///                       window ending at         3 [───────)
///                                                4     [───────)
///  a row in the pane that ends at 3 is in the windows that end at 3, 4 and 5
/// ```
///
/// Or sessions of `size`: each begins with a row and ends `size`, the gap, after its last one. How long it is only its rows say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowing {
    /// Length of a window in microseconds; of a session the gap, which is as long as a row alone makes one.
    pub size: Micros,
    /// From one window's start to the next one's, in microseconds: the length of a pane. Of sessions the gap, too.
    pub slide: Micros,
    /// Whether windows are sessions.
    pub session: bool,
}

/// Which rows a pane holds: those of one slide of time that are on time for the same windows, and late for the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaneKey {
    /// End of the pane, and of the first window that its rows are in by their event time.
    pub end: Micros,
    /// End of the first window that they are not late for.
    pub first_window: Micros,
    /// End of the first window that they are on time for: from it on they are in revision 0, before it in revision 1 only. The first
    /// window that they are not in, if they are on time for none.
    pub first_on_time: Micros,
}

impl Windowing {
    /// Windows that follow each other.
    pub fn tumbling(size: Micros) -> Self {
        Self { size, slide: size, session: false }
    }

    /// Windows of `size`, one every `slide`.
    pub fn hopping(size: Micros, slide: Micros) -> Self {
        Self { size, slide, session: false }
    }

    /// Sessions, which end when there was nothing for `gap`.
    pub fn sessions(gap: Micros) -> Self {
        Self { size: gap, slide: gap, session: true }
    }

    /// Whether a row alone says which windows it is in, and there is one.
    pub fn is_tumbling(&self) -> bool {
        !self.session && !self.overlap()
    }

    /// Whether windows overlap.
    pub fn overlap(&self) -> bool {
        self.slide < self.size
    }

    /// How many panes a window has.
    pub fn panes(&self) -> i64 {
        self.size / self.slide.max(1)
    }

    /// End of the pane that holds `t`; of sessions, of the one that a row at `t` alone makes.
    pub fn pane_end(&self, t: Micros) -> Micros {
        if self.session {
            return t.saturating_add(self.size);
        }
        floor_to(t, self.slide).saturating_add(self.slide)
    }

    /// End of the first window after those that have the pane that ends at `pane_end`.
    pub fn first_without(&self, pane_end: Micros) -> Micros {
        pane_end.saturating_add(self.size)
    }

    /// Ends of the windows that have the pane that ends at `pane_end`, from the one that ends at `first` on.
    pub fn ends(&self, pane_end: Micros, first: Micros) -> impl Iterator<Item = Micros> + use<> {
        let (slide, until) = (self.slide, self.first_without(pane_end));
        std::iter::successors(Some(first), move |end| end.checked_add(slide)).take_while(move |end| *end < until)
    }

    /// End of the first window of the pane that ends after `t`; that of the first window without the pane, if none does.
    pub fn first_after(&self, pane_end: Micros, t: Micros) -> Micros {
        if pane_end > t {
            return pane_end;
        }
        let hops = t.saturating_sub(pane_end) / self.slide.max(1) + 1;
        pane_end.saturating_add(hops.saturating_mul(self.slide)).min(self.first_without(pane_end))
    }
}

impl PaneKey {
    /// Rows that are on time for all of their windows.
    pub fn on_time(end: Micros) -> Self {
        Self { end, first_window: end, first_on_time: end }
    }

    /// Whether the rows are late for some of their windows.
    pub fn is_partly_late(&self) -> bool {
        self.first_window > self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP: Windowing = Windowing { size: 30, slide: 10, session: false };

    #[test]
    fn a_row_is_in_the_windows_that_have_its_pane() {
        assert_eq!((HOP.pane_end(0), HOP.pane_end(9), HOP.pane_end(10), HOP.pane_end(-1)), (10, 10, 20, 0));
        assert_eq!(HOP.ends(10, 10).collect::<Vec<_>>(), [10, 20, 30]);
        assert_eq!(HOP.ends(10, 30).collect::<Vec<_>>(), [30]);
        assert_eq!(HOP.ends(10, 40).count(), 0);
        assert_eq!(Windowing::tumbling(60).ends(60, 60).collect::<Vec<_>>(), [60]);
    }

    #[test]
    fn the_first_window_that_ends_later() {
        assert_eq!((HOP.first_after(10, 9), HOP.first_after(10, 10), HOP.first_after(10, 29)), (10, 20, 30));
        assert_eq!((HOP.first_after(10, 30), HOP.first_after(10, Micros::MAX)), (40, 40));
        assert_eq!(HOP.first_after(10, Micros::MIN), 10);
    }
}
