//! Sessions: windows that begin with a row and end when their key had none for a gap.
//!
//! ```text
//!  shard A   a a  a        ─► {a: 0–7}   ─┐
//!  shard B      a     a a  ─► {a: 4–12}  ─┴─► one session of a: 0–12, and the gap
//! ```
//!
//! Which rows are of one session depends on nothing but the rows and the watermarks at which their shards read them: each has a
//! [`Claim`], and claims that meet are of one session. A shard joins the claims of what it reads, some seconds of event time together;
//! where shards meet they are joined once more, until the watermark has passed the end of what they come to.
//!
//! * `claim`: what a row claims, and the open sessions of all keys; * `keys`: what tells sessions apart;
//! * `panes`: a shard's; * `merge`: where shards meet.

mod claim;
mod keys;
mod merge;
mod panes;

pub(super) use claim::Claim;
pub(super) use keys::SessionKeys;
pub use merge::{ClosedSessions, SessionMerge};
pub(super) use panes::SessionPanes;
