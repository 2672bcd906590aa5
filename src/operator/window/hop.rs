//! Where shards meet: panes that several windows share, merged without beginning anew for each window.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::Result;

use super::merge::{MergeMemory, merge_partials, merge_to_partial};
use super::pane::Partial;
use super::spec::WindowSpec;
use super::windowing::PaneKey;
use crate::operator::memory::StateReservation;
use crate::types::Micros;

/// Partials of one windowed aggregate that become windows, one after the other.
///
/// Panes are numbered, and merged to blocks of 2, 4, 8 … of them that begin at a multiple of their length. A window is made of at
/// most two blocks of each length, and a block serves every window that it lies in, so the next window costs a logarithm of the panes
/// and not all of them. A partial that comes late breaks up the blocks that its pane is in, and no others.
///
/// ```text
///  pane     0   1   2   3   4   5   6   7   8
///  length 2 [───────)       [───────)
///  length 4 [───────────────)
///  window       [─ 1 ─)[── 2, 3 ──)[──── 4 … 7 ────)[ 8 )      of the panes 1 … 8
/// ```
///
/// All blocks of one length hold each pane once: memory is that of the panes times the logarithm at most, less where groups are the
/// same from pane to pane.
#[derive(Debug)]
pub struct WindowMerge {
    // properties: constant
    spec: Arc<WindowSpec>,
    /// The end of the first window that has a partial.
    first: fn(&PaneKey) -> Micros,
    // state: mutable
    /// By that end: what no window has had.
    waiting: BTreeMap<Micros, Vec<Partial>>,
    /// By number of the pane: what the next window has, from one or several shards.
    panes: BTreeMap<i64, Vec<Partial>>,
    /// By length as a power of two, from 1 on, and number among those of its length. Made when a window asks.
    blocks: BTreeMap<Block, Partial>,
    /// Memory of the blocks, in bytes.
    block_bytes: usize,
    /// What the blocks take of the job's memory, and what is being merged.
    memory: StateReservation,
}

/// (power of two, number among the blocks of that length).
type Block = (u32, i64);

impl WindowMerge {
    /// Nothing yet. `first` tells the end of the first window that has a partial: the first on time, or the first at all. What it makes of
    /// partials takes `memory`.
    pub fn new(spec: Arc<WindowSpec>, first: fn(&PaneKey) -> Micros, memory: StateReservation) -> Self {
        let (waiting, panes, blocks) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { spec, first, waiting, panes, blocks, block_bytes: 0, memory }
    }

    /// What computes the windows.
    pub fn spec(&self) -> &Arc<WindowSpec> {
        &self.spec
    }

    /// Takes a partial in. No window that has it may be out.
    pub fn add(&mut self, partial: Partial) {
        self.waiting.entry((self.first)(&partial.pane)).or_default().push(partial);
    }

    /// Ends of the next window with rows, given that those that end by `closed` are out.
    pub fn next_end(&self, closed: Option<Micros>) -> Option<Micros> {
        let next = closed.map(|closed| closed.saturating_add(self.spec.windowing.slide));
        if !self.panes.is_empty() {
            return next;
        }
        let first = self.waiting.first_key_value().map(|(end, _)| *end);
        first.map(|first| next.map_or(first, |next| first.max(next)))
    }

    /// The rows of the window that ends at `end`, `None` if it has none. Windows are asked for in order, each at most once.
    ///
    /// # Errors
    /// If they cannot be merged, or not in the memory that there is.
    pub fn window(&mut self, end: Micros) -> Result<Option<RecordBatch>> {
        self.enter(end);
        let number = self.number(end);
        let blocks = blocks_of(self.oldest(number), number.saturating_add(1));
        for block in &blocks {
            self.build(*block)?;
        }
        let memory = MergeMemory { memory: &mut self.memory, kept: self.block_bytes };
        let partials: Vec<&Partial> =
            blocks.iter().flat_map(|block| partials_of(&self.panes, &self.blocks, *block)).collect();
        let rows = match partials.is_empty() {
            true => None,
            false => Some(merge_partials(&self.spec, end, &partials, memory)?),
        };
        self.expire(self.oldest(number).saturating_add(1));
        self.memory.hold(self.block_bytes)?;
        Ok(rows)
    }

    /// Goes past the window that ends at `end`, and all before it.
    pub fn skip(&mut self, end: Micros) {
        self.enter(end);
        self.expire(self.oldest(self.number(end)).saturating_add(1));
    }

    /// Everything that is still to be in a window.
    pub fn partials_left(&self) -> impl Iterator<Item = &Partial> {
        self.waiting.values().chain(self.panes.values()).flatten()
    }

    /// Memory of what is still to be in a window, in bytes; what was merged of it is accounted for apart.
    pub fn bytes(&self) -> usize {
        self.partials_left().map(Partial::bytes).sum()
    }

    fn number(&self, end: Micros) -> i64 {
        end.div_euclid(self.spec.windowing.slide.max(1))
    }

    /// The oldest pane of the window whose newest is `number`.
    fn oldest(&self, number: i64) -> i64 {
        number.saturating_sub(self.spec.windowing.panes() - 1)
    }

    /// Moves what windows that end by `end` have to the panes.
    fn enter(&mut self, end: Micros) {
        let oldest = self.oldest(self.number(end));
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= end) {
            for partial in first.remove() {
                let pane = partial.pane.end.div_euclid(self.spec.windowing.slide.max(1));
                if pane < oldest {
                    continue;
                }
                for power in 1..=self.highest_power() {
                    let broken_up = self.blocks.remove(&(power, pane >> power));
                    self.block_bytes -= broken_up.as_ref().map_or(0, Partial::bytes);
                }
                self.panes.entry(pane).or_default().push(partial);
            }
        }
        self.expire(oldest);
    }

    /// Forgets panes before `oldest`, and blocks that begin before it.
    fn expire(&mut self, oldest: i64) {
        self.panes = self.panes.split_off(&oldest);
        let expired = self.blocks.extract_if(.., |(power, number), _| (*number << *power) < oldest);
        self.block_bytes -= expired.map(|(_, block)| block.bytes()).sum::<usize>();
    }

    fn highest_power(&self) -> u32 {
        self.spec.windowing.panes().checked_ilog2().unwrap_or(0)
    }

    /// Merges a block, if it holds anything.
    fn build(&mut self, block @ (power, number): Block) -> Result<()> {
        let panes = (number << power)..((number + 1) << power);
        if power == 0 || self.blocks.contains_key(&block) || self.panes.range(panes).next().is_none() {
            return Ok(());
        }
        let halves = [(power - 1, number << 1), (power - 1, (number << 1) + 1)];
        for half in halves {
            self.build(half)?;
            self.join_shards(half)?;
        }
        let memory = MergeMemory { memory: &mut self.memory, kept: self.block_bytes };
        let of_halves = halves.iter().flat_map(|half| partials_of(&self.panes, &self.blocks, *half));
        let merged = match of_halves.collect::<Vec<_>>().as_slice() {
            [one] => Partial::clone(one),
            several => merge_to_partial(&self.spec, several, memory)?,
        };
        self.block_bytes += merged.bytes();
        self.blocks.insert(block, merged);
        Ok(())
    }

    /// Makes one partial of those that shards gave of a pane.
    fn join_shards(&mut self, (power, number): Block) -> Result<()> {
        if let (0, Some(pane @ [_, _, ..])) = (power, self.panes.get_mut(&number).map(Vec::as_mut_slice)) {
            let memory = MergeMemory { memory: &mut self.memory, kept: self.block_bytes };
            let joined = merge_to_partial(&self.spec, &pane.iter().collect::<Vec<_>>(), memory)?;
            self.panes.insert(number, vec![joined]);
        }
        Ok(())
    }
}

/// What a block is made of: a pane may be of several shards.
fn partials_of<'p>(
    panes: &'p BTreeMap<i64, Vec<Partial>>,
    blocks: &'p BTreeMap<Block, Partial>,
    block @ (power, number): Block,
) -> &'p [Partial] {
    match power {
        0 => panes.get(&number).map_or(&[], Vec::as_slice),
        _ => blocks.get(&block).map_or(&[], slice::from_ref),
    }
}

/// The fewest blocks that make up the panes from `from` up to before `to`.
fn blocks_of(mut from: i64, to: i64) -> Vec<Block> {
    let mut blocks = Vec::new();
    while let Some(fits) = to.saturating_sub(from).checked_ilog2() {
        let power = from.trailing_zeros().min(fits);
        blocks.push((power, from >> power));
        from += 1 << power;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_are_covered_by_few_blocks_each_once() {
        assert_eq!(blocks_of(1, 9), [(0, 1), (1, 1), (2, 1), (0, 8)]);
        assert_eq!(blocks_of(5, 6), [(0, 5)]);
        assert!(blocks_of(5, 5).is_empty());
        for from in -400..400 {
            let blocks = blocks_of(from, from + 360);
            let mut panes: Vec<i64> = blocks.iter().flat_map(|(p, n)| (n << p)..((n + 1) << p)).collect();
            assert!(panes.is_sorted() && blocks.len() <= 16, "{from}: {blocks:?}");
            panes.dedup();
            assert_eq!(panes, (from..from + 360).collect::<Vec<_>>());
        }
    }
}
