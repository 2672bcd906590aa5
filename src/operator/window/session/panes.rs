//! A shard's part of the sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::Result;

use super::claim::{Claim, OpenSessions};
use super::keys::{SessionKeys, numbered_keys, with_claims, with_numbers};
use crate::operator::window::inputs::{Inputs, PaneRows};
use crate::operator::window::pane::{Pane, Partial, pane_of};
use crate::operator::window::spec::WindowSpec;
use crate::operator::window::windowing::PaneKey;
use crate::types::{MICROS_PER_SEC, Micros, floor_to};

/// Event time that one pane holds: a quarter of the gap, within these bounds and no longer than the gap. They are shorter than a
/// watermark's usual delay, so that a pane is mostly complete when it is handed over.
const PANE_MIN: Micros = MICROS_PER_SEC;
const PANE_MAX: Micros = 5 * MICROS_PER_SEC;

/// The rows of one shard that it has not handed over, some time of events in one pane.
///
/// A pane is handed over when the shard's watermark reaches its beginning, whether or not its sessions are over: a row that claims the
/// time before a session's end must be there when the watermark has passed that end, and no row claims more than a gap. Rows that come
/// later have a pane of their own. So a shard keeps no session: however long one goes on, a shard has the rows that the watermark has
/// not reached.
#[derive(Debug)]
pub(in crate::operator::window) struct SessionPanes {
    // properties: constant
    spec: Arc<WindowSpec>,
    keys: SessionKeys,
    slide: Micros,
    // state: mutable
    /// By the watermark at which they are handed over.
    panes: BTreeMap<Micros, SessionPane>,
    /// What another one left.
    left: Vec<Partial>,
}

/// The groups of some rows, under the numbers of what is known to be of one session.
struct SessionPane {
    groups: Pane,
    /// Each with its numbers: several, if it was joined up.
    sessions: OpenSessions<u64>,
    numbers: u64,
}

impl std::fmt::Debug for SessionPane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionPane").field("groups", &self.groups.groups()).finish_non_exhaustive()
    }
}

impl SessionPanes {
    /// Nothing yet.
    ///
    /// # Errors
    /// If keys of sessions have a type that cannot be compared.
    pub(in crate::operator::window) fn try_new(spec: Arc<WindowSpec>) -> Result<Self> {
        let gap = spec.windowing.size;
        let slide = (gap / 4).clamp(PANE_MIN, PANE_MAX).min(gap).max(1);
        Ok(Self { keys: SessionKeys::try_new(&spec)?, spec, slide, panes: BTreeMap::new(), left: vec![] })
    }

    /// Adds the rows of these numbers, none of which is late, with what each of them claims.
    pub(in crate::operator::window) fn update(
        &mut self,
        inputs: &Inputs<'_>,
        numbers: &[u32],
        claims: &[Claim],
    ) -> Result<()> {
        let mut panes: BTreeMap<Micros, (Vec<u32>, Vec<Claim>)> = BTreeMap::new();
        for (number, claim) in numbers.iter().zip(claims) {
            let (numbers, claims) = panes.entry(floor_to(claim.first, self.slide)).or_default();
            numbers.push(*number);
            claims.push(*claim);
        }
        for (due, (numbers, claims)) in panes {
            let pane = pane_of(&mut self.panes, due, || SessionPane::try_new(&self.spec))?;
            pane.update(&self.keys, &inputs.of_pane(&numbers), &claims)?;
        }
        Ok(())
    }

    /// Hands over every pane that has rows which may belong to a session that ends before `watermark` without them.
    pub(in crate::operator::window) fn close(&mut self, watermark: Micros) -> Result<Vec<Partial>> {
        let (mut out, left) = std::mem::take(&mut self.left).into_iter().partition(|p| p.pane.end <= watermark);
        self.left = left;
        while let Some(pane) = self.panes.first_entry().filter(|pane| *pane.key() <= watermark) {
            let due = *pane.key();
            out.push(pane.remove().into_partial(due)?);
        }
        Ok(out)
    }

    /// Takes over what another one left.
    pub(in crate::operator::window) fn resume(&mut self, left: Vec<Partial>) {
        self.left.extend(left);
    }

    /// Memory of all that has not been handed over, in bytes.
    pub(in crate::operator::window) fn bytes(&self) -> usize {
        let panes = self.panes.values().map(|pane| pane.groups.bytes() + pane.sessions.bytes());
        panes.sum::<usize>() + self.left.iter().map(Partial::bytes).sum::<usize>()
    }

    /// The groups that have not been handed over.
    pub(in crate::operator::window) fn groups(&self) -> usize {
        self.panes.values().map(|pane| pane.groups.groups()).sum::<usize>()
            + self.left.iter().map(|partial| partial.groups).sum::<usize>()
    }
}

impl SessionPane {
    fn try_new(spec: &WindowSpec) -> Result<Self> {
        let groups = Pane::by_keys(spec, &numbered_keys(spec))?;
        Ok(Self { groups, sessions: OpenSessions::default(), numbers: 0 })
    }

    fn update(&mut self, keys: &SessionKeys, rows: &PaneRows<'_>, claims: &[Claim]) -> Result<()> {
        let of_groups = rows.keys()?;
        let mut numbers = Vec::with_capacity(rows.numbers().len());
        for (key, claim) in keys.of(&of_groups)?.iter().zip(claims) {
            let (_, session) = self.sessions.join(key, *claim);
            let number = session.parts.first().copied().unwrap_or(self.numbers);
            if session.parts.is_empty() {
                session.parts.push(number);
                self.numbers += 1;
            }
            numbers.push(number);
        }
        self.groups.update_under(&with_numbers(numbers, &of_groups), rows)
    }

    fn into_partial(self, due: Micros) -> Result<Partial> {
        let none = Claim { from: 0, first: 0, last: 0 };
        let mut claims = vec![none; self.numbers as usize];
        for session in self.sessions.iter() {
            for number in &session.parts {
                if let Some(claim) = claims.get_mut(*number as usize) {
                    *claim = session.claim;
                }
            }
        }
        with_claims(self.groups.into_partial(PaneKey::on_time(due))?, &claims)
    }
}
