//! Where shards meet: what they hand over becomes sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use datafusion::common::{Result, internal_err};

use super::claim::{Claim, OpenSession, OpenSessions};
use super::keys::{SessionKeys, numbered_keys, split_claims, split_numbers, with_claims, with_numbers};
use crate::operator::memory::StateReservation;
use crate::operator::window::merge::{MergeMemory, result_rows};
use crate::operator::window::pane::{Pane, Partial};
use crate::operator::window::spec::WindowSpec;
use crate::operator::window::windowing::PaneKey;
use crate::types::Micros;

/// Groups that are kept before they are merged for the first time.
const MERGE_GROUPS_MIN: usize = 1_024;

/// The groups of sessions that are over.
#[derive(Debug)]
pub struct ClosedSessions {
    /// The operator's result, a row a group.
    pub rows: RecordBatch,
    /// Of each row, start and end of its session.
    pub bounds: Vec<(Micros, Micros)>,
}

/// The sessions of one windowed aggregate that are not over.
///
/// What shards hand over is kept as it came, with a list for each session of what belongs to it. When that is twice what it could be,
/// all of it is merged to one group for each session and key: so a session costs memory by its groups and not by its length, and each
/// group is merged a few times at most.
#[derive(Debug)]
pub struct SessionMerge {
    // properties: constant
    spec: Arc<WindowSpec>,
    keys: SessionKeys,
    // state: mutable
    /// By number.
    partials: BTreeMap<u32, Partial>,
    next: u32,
    /// Each with its groups.
    sessions: OpenSessions<Place>,
    /// Keys of the sessions whose last row is of then. Some have gone on since, and are here once more.
    by_last: BTreeMap<Micros, Vec<Arc<[u8]>>>,
    /// Groups in all partials, those of sessions that are over included.
    groups: usize,
    /// Memory of all partials.
    bytes: usize,
    /// At so many they are merged.
    merge_at: usize,
    /// What is being merged takes of the job's memory.
    memory: StateReservation,
}

/// A group: number of the partial, and its place in there.
type Place = (u32, u32);

impl SessionMerge {
    /// Nothing yet. What is being merged takes `memory`.
    ///
    /// # Errors
    /// If keys of sessions have a type that cannot be compared.
    pub fn try_new(spec: Arc<WindowSpec>, memory: StateReservation) -> Result<Self> {
        Ok(Self {
            keys: SessionKeys::try_new(&spec)?,
            spec,
            partials: BTreeMap::new(),
            next: 0,
            sessions: OpenSessions::default(),
            by_last: BTreeMap::new(),
            groups: 0,
            bytes: 0,
            merge_at: MERGE_GROUPS_MIN,
            memory,
        })
    }

    /// Takes in what a shard handed over, or what another one left.
    pub fn add(&mut self, partial: Partial) -> Result<()> {
        let number = self.number();
        let (claims, keys) = split_claims(&partial)?;
        for ((key, claim), place) in self.keys.of(keys)?.iter().zip(claims).zip(0..) {
            let (key, session) = self.sessions.join(key, claim);
            session.parts.push((number, place));
            self.by_last.entry(session.claim.last).or_default().push(Arc::clone(key));
        }
        self.groups += partial.groups;
        self.bytes += partial.bytes();
        self.partials.insert(number, partial);
        if self.groups >= self.merge_at { self.compact() } else { Ok(()) }
    }

    /// Takes out the sessions that end before `watermark`, but for those that `give_up` says by their start. (One that ends just then
    /// may be continued by a row of that very time.) At the end of time all are over.
    pub fn close(&mut self, watermark: Micros, give_up: impl Fn(Micros) -> bool) -> Result<Option<ClosedSessions>> {
        let last_row_before = match watermark {
            Micros::MAX => Micros::MAX,
            _ => watermark.saturating_sub(self.spec.windowing.size),
        };
        let mut closed = Vec::new();
        while let Some(ending) = self.by_last.first_entry().filter(|ending| *ending.key() < last_row_before) {
            for key in ending.remove() {
                closed.extend(self.sessions.take(&key, last_row_before));
            }
        }
        closed.retain(|session| !give_up(session.claim.first));
        let rows = match closed.is_empty() {
            true => None,
            false => Some(self.finished(&closed)?),
        };
        if self.by_last.is_empty() {
            // Nothing is open.
            self.partials.clear();
            self.groups = 0;
            self.bytes = 0;
        }
        Ok(rows)
    }

    /// Everything that open sessions have; groups of sessions that have been closed are among it, which [`Self::close`] takes out again.
    pub fn partials_left(&self) -> impl Iterator<Item = &Partial> {
        self.partials.values()
    }

    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes + self.sessions.bytes() + self.groups * (size_of::<Place>() + size_of::<Arc<[u8]>>())
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many groups are kept.
    pub fn groups(&self) -> usize {
        self.groups
    }

    fn finished(&mut self, closed: &[OpenSession<Place>]) -> Result<ClosedSessions> {
        let closed_sessions: Vec<_> = closed.iter().collect();
        let merged = merged(&self.spec, &self.partials, &closed_sessions, &mut self.memory)?;
        let (keys, values) = merged.into_rows()?;
        self.memory.hold(0)?;
        let (numbers, keys) = split_numbers(&keys)?;
        let claims: Vec<Claim> = numbers.iter().filter_map(|n| closed.get(*n)).map(|session| session.claim).collect();
        let bounds: Vec<_> = claims.iter().map(|claim| (claim.first, end_of(claim, &self.spec))).collect();
        let rows = result_rows(&self.spec, bounds.iter().copied().unzip(), keys, values)?;
        Ok(ClosedSessions { rows, bounds })
    }

    /// Merges what is open to one partial, and forgets the rest.
    fn compact(&mut self) -> Result<()> {
        let sessions: Vec<_> = self.sessions.iter().collect();
        let claims: Vec<Claim> = sessions.iter().map(|session| session.claim).collect();
        let merged = merged(&self.spec, &self.partials, &sessions, &mut self.memory)?;
        let merged = merged.into_partial(PaneKey::on_time(Micros::MAX))?;
        self.memory.hold(0)?;
        let (numbers, _) = split_numbers(&merged.keys)?;
        let number = self.number();
        let mut places = vec![Vec::new(); claims.len()];
        for (session, place) in numbers.into_iter().zip(0..) {
            if let Some(places) = places.get_mut(session) {
                places.push((number, place));
            }
        }
        self.sessions.iter_mut().zip(places).for_each(|(session, places)| session.parts = places);
        self.groups = merged.groups;
        self.merge_at = MERGE_GROUPS_MIN.max(2 * self.groups);
        let merged = with_claims(merged, &claims)?;
        self.bytes = merged.bytes();
        self.partials = BTreeMap::from([(number, merged)]);
        Ok(())
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }
}

/// The groups of these sessions, under their numbers in the list.
fn merged(
    spec: &WindowSpec,
    partials: &BTreeMap<u32, Partial>,
    sessions: &[&OpenSession<Place>],
    memory: &mut StateReservation,
) -> Result<Pane> {
    let mut by_partial: BTreeMap<u32, (Vec<u64>, Vec<u32>)> = BTreeMap::new();
    for (session, number) in sessions.iter().zip(0..) {
        for (partial, place) in &session.parts {
            let (numbers, places) = by_partial.entry(*partial).or_default();
            numbers.push(number);
            places.push(*place);
        }
    }
    let mut pane = Pane::by_keys(spec, &numbered_keys(spec))?;
    for (partial, (numbers, places)) in by_partial {
        let Some(partial) = partials.get(&partial) else {
            return internal_err!("a session without its groups");
        };
        let (_, keys) = split_claims(partial)?;
        let (groups, places) = (places.len(), UInt32Array::from(places));
        let chosen = |columns: &[ArrayRef]| -> Result<Vec<ArrayRef>> {
            columns.iter().map(|column| Ok(take(column, &places, None)?)).collect()
        };
        let states = partial.states.iter().map(|columns| chosen(columns)).collect::<Result<Vec<_>>>()?;
        let keys = with_numbers(numbers, &chosen(keys)?);
        let chosen = Partial { pane: partial.pane, groups, keys, states };
        pane.merge(&chosen)?;
        MergeMemory { memory: &mut *memory, kept: chosen.bytes() }.hold(&pane)?;
    }
    Ok(pane)
}

fn end_of(claim: &Claim, spec: &WindowSpec) -> Micros {
    claim.last.saturating_add(spec.windowing.size)
}
