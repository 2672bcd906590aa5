//! A table cell in plain form, ordered so that rows can be sorted and compared.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A row: column name to value. Times are `Val::Int` in microseconds.
pub type Row = BTreeMap<String, Val>;

/// One cell.
#[derive(Debug, Clone)]
pub enum Val {
    /// SQL NULL. It sorts first.
    Null,
    /// A boolean.
    Bool(bool),
    /// Any integer, and any time in microseconds.
    Int(i64),
    /// A float64. Compared bit for bit as `f64::total_cmp` does.
    Float(f64),
    /// Text.
    Str(String),
}

impl Val {
    /// Text, or NULL.
    pub fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |t| Self::Str(t.to_owned()))
    }

    /// An integer, or NULL.
    pub fn int(int: Option<i64>) -> Self {
        int.map_or(Self::Null, Self::Int)
    }

    /// A count as int64.
    pub fn count(n: usize) -> Self {
        Self::Int(i64::try_from(n).expect("a count of rows fits in i64"))
    }

    /// `numerator / denominator` as float64; NULL when the denominator is 0.
    pub fn ratio(numerator: i64, denominator: i64) -> Self {
        if denominator == 0 { Self::Null } else { Self::Float(numerator as f64 / denominator as f64) }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Str(_) => 4,
        }
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Str(a), Self::Str(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}
