//! One letter, by its name.

use std::collections::BTreeSet;
use std::str::FromStr;

use bytes::Bytes;

use super::filter::Filter;
use super::list::Head;
use super::stored::{LetterFile, Letters, files};
use crate::error::{Error, Result};
use crate::limits::LETTERS_SHOWN_MAX;
use crate::sink::lake::Lake;

/// What a letter is called: the sequence number of its record and, where the record has several letters, its place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterName {
    /// The sequence number.
    pub sequence_number: String,
    /// The place in the record.
    pub sub_sequence_number: Option<i64>,
}

impl FromStr for LetterName {
    type Err = String;

    /// `SEQUENCE` or `SEQUENCE:SUB`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (sequence, sub) = match text.rsplit_once(':').map(|(head, tail)| (head, tail.parse())) {
            Some((head, Ok(sub))) => (head, Some(sub)),
            _ => (text, None),
        };
        match sequence {
            "" => Err("write a sequence number, such as 42, or 42:1 for the second event of a record".to_owned()),
            sequence => Ok(Self { sequence_number: sequence.to_owned(), sub_sequence_number: sub }),
        }
    }
}

impl LetterName {
    fn names(&self, letters: &Letters, i: usize) -> bool {
        self.sequence_number == letters.sequence(i) && self.sub_sequence_number.is_none_or(|sub| sub == letters.sub(i))
    }
}

/// A letter with its data.
#[derive(Debug, Clone)]
pub struct Whole {
    /// All else.
    pub head: Head,
    /// Its bytes, as they came.
    pub data: Bytes,
    /// The file that holds it, as `<lake>/<path>`.
    pub file: String,
}

/// The letter of a name. Several come if it is stored several times, as after a killed run, or if lines of different files have one name;
/// [`LETTERS_SHOWN_MAX`] at most.
///
/// # Errors
/// User, if there is none, or if letters of several shards or places are called so: it says which. External or transient, if the lake
/// cannot be read.
pub async fn find(lake: &Lake, filter: &Filter, name: &LetterName) -> Result<Vec<Whole>> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for file in files(lake, filter).await? {
        let mut letters = LetterFile::open(lake, &file).await?;
        while let Some(letters) = letters.next().await? {
            for i in (0..letters.len()).filter(|&i| name.names(&letters, i) && filter.takes(&letters, i)) {
                if names.len() <= LETTERS_SHOWN_MAX {
                    names.insert((letters.shard(i).to_owned(), letters.sub(i)));
                }
                if names.len() == 1 && found.len() < LETTERS_SHOWN_MAX {
                    let data = Bytes::copy_from_slice(letters.data(i));
                    found.push(Whole { head: Head::of(&letters, i), data, file: lake.place(&file.path) });
                }
            }
        }
    }
    match names.len() {
        1 => Ok(found),
        0 => Err(Error::user("there is no such dead letter")
            .at(&name.sequence_number)
            .hint("`headcount dead-letters list` says which there are")),
        _ => Err(ambiguous(name, &names)),
    }
}

fn ambiguous(name: &LetterName, names: &BTreeSet<(String, i64)>) -> Error {
    let sequence = &name.sequence_number;
    let mut called: Vec<String> =
        names.iter().take(LETTERS_SHOWN_MAX).map(|(shard, sub)| format!("{sequence}:{sub} --shard {shard}")).collect();
    if names.len() > LETTERS_SHOWN_MAX {
        called.push("…".to_owned());
    }
    Error::user(format!("several dead letters are called so: {}", called.join(", ")))
        .at(sequence)
        .hint("give one of these")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_number_with_or_without_a_place() {
        let name = |text: &str| text.parse::<LetterName>().map(|n| (n.sequence_number, n.sub_sequence_number));
        assert_eq!(name("42"), Ok(("42".to_owned(), None)));
        assert_eq!(name("42:3"), Ok(("42".to_owned(), Some(3))));
        assert_eq!(name("a:b"), Ok(("a:b".to_owned(), None)), "an event file may call its events as it likes");
        assert_eq!(name("a:b:0"), Ok(("a:b".to_owned(), Some(0))));
        for wrong in ["", ":1"] {
            assert!(name(wrong).unwrap_err().contains("such as 42"));
        }
    }
}
