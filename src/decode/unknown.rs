//! Fields that the contract does not know.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::limits::{UNKNOWN_FIELD_NAME_BYTES_MAX, UNKNOWN_FIELD_NAMES_MAX};

/// Stands for all unknown fields that are not counted by name.
pub const OTHER_FIELDS: &str = "(other)";

/// One of an event, borrowed from its bytes.
#[derive(Debug)]
pub(super) struct UnknownField<'a> {
    pub(super) name: Cow<'a, str>,
    /// The JSON text of its value.
    pub(super) value: &'a [u8],
}

/// How often each unknown field came, in accepted events. Bounded in number and length of names, so that junk keys cannot
/// grow memory; the rest is counted as [`OTHER_FIELDS`].
#[derive(Debug, Default)]
pub(super) struct UnknownFields(BTreeMap<String, u64>);

impl UnknownFields {
    pub(super) fn count(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
            return;
        }
        let names = self.0.len() - usize::from(self.0.contains_key(OTHER_FIELDS));
        let by_name = names < UNKNOWN_FIELD_NAMES_MAX && name.len() <= UNKNOWN_FIELD_NAME_BYTES_MAX;
        let name = if by_name { name } else { OTHER_FIELDS };
        *self.0.entry(name.to_owned()).or_insert(0) += 1;
    }

    pub(super) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_in_number_and_length_and_none_is_lost() {
        let mut unknown = UnknownFields::default();
        unknown.count(&"x".repeat(UNKNOWN_FIELD_NAME_BYTES_MAX + 1));
        for i in 0..UNKNOWN_FIELD_NAMES_MAX + 10 {
            unknown.count(&format!("name{i:04}"));
            unknown.count("name0000");
        }
        assert_eq!(unknown.counts().len(), UNKNOWN_FIELD_NAMES_MAX + 1);
        assert_eq!(unknown.counts()[OTHER_FIELDS], 11);
        assert_eq!(unknown.counts().values().sum::<u64>(), 1 + 2 * (UNKNOWN_FIELD_NAMES_MAX as u64 + 10));
    }
}
