//! The sessions of a stream, for whoever starts or ends it.

use serde::{Deserialize, Serialize};

use super::session::Session;
use super::slab::Slab;

/// Sessions that may be gone, or another stream's by now, are not worth sorting out before there are as many as are left, and so many more.
const GONE_MIN: usize = 16;

/// Numbers of the sessions of one stream: of all that there are, of some that are gone, and of one now and then twice.
///
/// Sessions come and go all the time, and are seldom asked for all together: coming is an entry at the end, going none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct StreamSessions {
    entries: Vec<u32>,
    /// How many there are.
    len: usize,
}

impl StreamSessions {
    /// Adds a session of `stream`, which this is of. It is among `sessions` already.
    pub(super) fn add(&mut self, session: u32, stream: u32, sessions: &Slab<Session>) {
        self.len += 1;
        if self.entries.len() == self.entries.capacity() {
            self.sort_out(stream, sessions);
            // By a quarter, and not to the double: there may be millions.
            self.entries.reserve_exact((self.entries.len() / 4).max(4));
        }
        self.entries.push(session);
    }

    fn sort_out(&mut self, stream: u32, sessions: &Slab<Session>) {
        if self.entries.len() > self.len + self.len / 4 + GONE_MIN {
            self.entries.retain(|session| sessions.get(*session).is_some_and(|s| s.stream == stream));
            self.entries.sort_unstable();
            self.entries.dedup();
        }
    }

    /// One of them is gone.
    pub(super) fn forget_one(&mut self) {
        self.len = self.len.saturating_sub(1);
        if self.len == 0 {
            self.entries = Vec::new();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, each once.
    pub(super) fn all(&mut self, stream: u32, sessions: &Slab<Session>) -> &[u32] {
        self.entries.retain(|session| sessions.get(*session).is_some_and(|s| s.stream == stream));
        self.entries.sort_unstable();
        self.entries.dedup();
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::super::mark::PackedHash;
    use super::*;

    #[test]
    fn those_that_are_gone_are_sorted_out_in_time() {
        let mut sessions = Slab::new();
        let (mut of_stream, mut others) = (StreamSessions::default(), StreamSessions::default());
        let add = |to: &mut StreamSessions, stream: u32, sessions: &mut Slab<Session>| {
            let number = sessions.insert(Session::new(PackedHash::NONE, stream));
            to.add(number, stream, sessions);
            number
        };
        let mut there: Vec<u32> = (0..50).map(|_| add(&mut of_stream, 7, &mut sessions)).collect();
        for round in 0..5_000 {
            let gone = there.remove(round * 7 % 50);
            sessions.remove(gone);
            of_stream.forget_one();
            // Its number is another stream's now and then.
            if round % 3 == 0 {
                add(&mut others, 8, &mut sessions);
            }
            there.push(add(&mut of_stream, 7, &mut sessions));
            assert!(of_stream.entries.len() < 100, "{round}");
        }
        there.sort_unstable();
        assert_eq!(of_stream.all(7, &sessions), there);
        assert_eq!(others.len, 1_667);
        for gone in there {
            sessions.remove(gone);
            of_stream.forget_one();
        }
        assert!(of_stream.is_empty() && of_stream.entries.capacity() == 0);
    }
}
