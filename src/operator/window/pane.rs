//! One pane: the groups of one slide of time, keys in a hash table, one accumulator per aggregate.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::accumulators::Accumulator;
use super::inputs::PaneRows;
use super::spec::WindowSpec;
use super::text_groups::TextGroups;
use super::windowing::PaneKey;

/// A shard's share of one pane, as arrays that merge with those of other shards. Its clones share the arrays.
#[derive(Debug, Clone)]
pub struct Partial {
    /// Which rows it is of.
    pub pane: PaneKey,
    /// How many groups there are.
    pub groups: usize,
    /// The key columns, one row a group; empty if the query has no keys besides the window. Of sessions, three columns before them say
    /// what the group's rows claim.
    pub keys: Vec<ArrayRef>,
    /// For each aggregate its state columns, one row a group.
    pub states: Vec<Vec<ArrayRef>>,
}

impl Partial {
    /// Memory that it holds, in bytes; clones hold the same.
    pub fn bytes(&self) -> usize {
        self.keys.iter().chain(self.states.iter().flatten()).map(|column| column.get_array_memory_size()).sum()
    }
}

/// The pane of `key`; a new one if there is none yet.
pub(super) fn pane_of<K: Ord, P>(
    panes: &mut BTreeMap<K, P>,
    key: K,
    new: impl FnOnce() -> Result<P>,
) -> Result<&mut P> {
    Ok(match panes.entry(key) {
        Entry::Occupied(pane) => pane.into_mut(),
        Entry::Vacant(place) => place.insert(new()?),
    })
}

/// As many partials are taken to hold values that are all different.
const DIFFERENT_MAX: usize = 4;

/// Groups of one pane. Group indices are dense, from 0, in order of first appearance.
pub(super) struct Pane {
    keys: Keys,
    accumulators: Vec<Accumulator>,
    groups: usize,
    indices: Vec<usize>,
}

/// The groups' keys.
enum Keys {
    /// There are none: all rows are one group.
    None,
    /// One text.
    Text(Box<TextGroups>),
    /// Whatever else.
    Library(Box<dyn GroupValues>),
}

impl Pane {
    pub(super) fn try_new(spec: &WindowSpec) -> Result<Self> {
        Self::by_keys(spec, &spec.key_schema)
    }

    /// Groups by these keys instead of those of `spec`.
    pub(super) fn by_keys(spec: &WindowSpec, key_schema: &SchemaRef) -> Result<Self> {
        let keys = if key_schema.fields().is_empty() {
            Keys::None
        } else if TextGroups::suit(key_schema) {
            Keys::Text(Box::default())
        } else {
            Keys::Library(new_group_values(Arc::clone(key_schema), &GroupOrdering::None)?)
        };
        let accumulators = spec.aggregates.iter().map(Accumulator::new).collect::<Result<_>>()?;
        Ok(Self { keys, accumulators, groups: 0, indices: Vec::new() })
    }

    /// Adds rows.
    pub(super) fn update(&mut self, rows: &PaneRows<'_>) -> Result<()> {
        if let Keys::Text(texts) = &mut self.keys {
            texts.intern(rows.whole_key()?, rows.numbers().iter().map(|row| *row as usize), &mut self.indices);
            self.groups = texts.len();
            return self.accumulate(rows);
        }
        self.update_under(&rows.keys()?, rows)
    }

    /// Adds rows under these keys.
    pub(super) fn update_under(&mut self, keys: &[ArrayRef], rows: &PaneRows<'_>) -> Result<()> {
        self.intern(keys, rows.numbers().len())?;
        self.accumulate(rows)
    }

    fn accumulate(&mut self, rows: &PaneRows<'_>) -> Result<()> {
        for (place, accumulator) in self.accumulators.iter_mut().enumerate() {
            accumulator.update(rows, place, &self.indices, self.groups)?;
        }
        Ok(())
    }

    /// Makes room for what partials hold: mostly they have different values, but not if they are many, as of a long window.
    pub(super) fn expect_all(&mut self, partials: &[&Partial]) {
        for (place, accumulator) in self.accumulators.iter_mut().enumerate() {
            let held = partials.iter().filter_map(|partial| partial.states.get(place));
            let held = held.map(|states| accumulator.held_in(states));
            let (all, most) = held.fold((0, 0), |(all, most), held| (all + held, most.max(held)));
            accumulator.expect(all.min(DIFFERENT_MAX * most));
        }
    }

    /// Adds another shard's groups.
    pub(super) fn merge(&mut self, partial: &Partial) -> Result<()> {
        self.intern(&partial.keys, partial.groups)?;
        for (acc, states) in self.accumulators.iter_mut().zip(&partial.states) {
            acc.merge(states, &self.indices, self.groups)?;
        }
        Ok(())
    }

    fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<()> {
        match &mut self.keys {
            Keys::Text(texts) => {
                let [column] = keys else { return internal_err!("one key in {} columns", keys.len()) };
                texts.intern(column, 0..rows, &mut self.indices);
                self.groups = texts.len();
            }
            Keys::Library(table) => {
                table.intern(keys, &mut self.indices)?;
                self.groups = table.len();
            }
            Keys::None => {
                self.indices.clear();
                self.indices.resize(rows, 0);
                self.groups = self.groups.max(usize::from(rows > 0));
            }
        }
        Ok(())
    }

    /// How many values each accumulator holds.
    pub(super) fn held(&self) -> Vec<usize> {
        self.accumulators.iter().map(Accumulator::held).collect()
    }

    /// Makes room for as many values as another pane held.
    pub(super) fn expect(&mut self, held: &[usize]) {
        self.accumulators.iter_mut().zip(held).for_each(|(accumulator, values)| accumulator.expect(*values));
    }

    /// Hands everything over as arrays.
    pub(super) fn into_partial(mut self, pane: PaneKey) -> Result<Partial> {
        let groups = self.groups;
        let states = self.accumulators.iter_mut().map(Accumulator::state).collect::<Result<_>>()?;
        Ok(Partial { pane, groups, keys: self.take_keys()?, states })
    }

    /// The key columns and the final value of each aggregate, one row a group.
    pub(super) fn into_rows(mut self) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>)> {
        let values = self.accumulators.iter_mut().map(Accumulator::evaluate).collect::<Result<_>>()?;
        Ok((self.take_keys()?, values))
    }

    fn take_keys(&mut self) -> Result<Vec<ArrayRef>> {
        match &mut self.keys {
            Keys::None => Ok(vec![]),
            Keys::Text(texts) => Ok(vec![texts.emit()?]),
            Keys::Library(keys) => keys.emit(EmitTo::All),
        }
    }

    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::None => 0,
            Keys::Text(texts) => texts.size(),
            Keys::Library(keys) => keys.size(),
        };
        let values: usize = self.accumulators.iter().map(Accumulator::bytes).sum();
        keys + values + self.indices.capacity() * size_of::<usize>()
    }
}
