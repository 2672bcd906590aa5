//! Questions to a running job: how many are watching now, asked of the place where shards meet.
//!
//! ```text
//!  serve ── ask(table) ──► Inquiries ── next() ──► the task where shards meet, between two messages
//!    ▲                                                        │ Combine::unclosed
//!    └──────────────────────── the answer ────────────────────┘
//! ```
//!
//! The state is that task's alone. A question waits for it as a message does, and is answered by reading: nothing changes by being asked.

use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::limits::{INQUIRIES_MAX, INQUIRY_SECS_MAX};
use crate::operator::concurrency::UnclosedWindow;

/// What a table's window that is not complete holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Unclosed {
    /// The rows of its `CONCURRENCY`, before the rest of its query.
    pub window: UnclosedWindow,
    /// The table began within it, and will not have it: what was before is not in its rows.
    pub given_up: bool,
}

/// The questions that wait.
#[derive(Debug)]
pub struct Inquiries {
    asking: Sender<Inquiry>,
    asked: Mutex<Receiver<Inquiry>>,
}

/// One question.
#[derive(Debug)]
pub struct Inquiry {
    table: String,
    answer: oneshot::Sender<Result<Vec<Unclosed>>>,
}

impl Default for Inquiries {
    fn default() -> Self {
        let (asking, asked) = channel(INQUIRIES_MAX);
        Self { asking, asked: Mutex::new(asked) }
    }
}

impl Inquiries {
    /// Asks for the windows of `table` that are not complete: one for each `CONCURRENCY` of its query, none before anything is resolved.
    ///
    /// # Errors
    /// A user error if there is no such table, or it counts no presence; external if the job does not answer in time, or is over.
    pub async fn ask(&self, table: &str) -> Result<Vec<Unclosed>> {
        let (answer, answered) = oneshot::channel();
        let inquiry = Inquiry { table: table.to_owned(), answer };
        self.asking.try_send(inquiry).map_err(|_| busy("too many questions wait"))?;
        match timeout(Duration::from_secs(INQUIRY_SECS_MAX), answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(busy("the job is ending")),
            Err(_) => Err(busy("the job is busy")),
        }
    }

    /// The next question. Whoever gives up waiting loses none.
    pub(super) async fn next(&self) -> Inquiry {
        match self.asked.lock().await.recv().await {
            Some(inquiry) => inquiry,
            // There is a sender as long as there is a receiver: both are this struct's.
            None => std::future::pending().await,
        }
    }
}

impl Inquiry {
    /// Answers, if anybody still waits for it.
    pub(super) fn answer(self, of_table: impl FnOnce(&str) -> Result<Vec<Unclosed>>) {
        if !self.answer.is_closed() {
            // Whoever asked may give up just now.
            let _ = self.answer.send(of_table(&self.table));
        }
    }
}

fn busy(why: &str) -> Error {
    Error::external(format!("no answer: {why}")).hint("ask again in a moment; /api/status says what the job is doing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_is_answered_or_says_why_not() {
        let inquiries = Inquiries::default();
        let answering = async {
            inquiries.next().await.answer(|table| {
                assert_eq!(table, "t");
                Ok(vec![])
            });
            // The second is asked, and nobody answers.
            drop(inquiries.next().await);
        };
        let asking = async {
            assert_eq!(inquiries.ask("t").await.unwrap(), []);
            inquiries.ask("t").await.unwrap_err()
        };
        let ((), ending) = tokio::join!(answering, asking);
        assert_eq!(ending.message(), "no answer: the job is ending");
        let unheard = inquiries.ask("t").await.unwrap_err();
        assert_eq!(unheard.message(), "no answer: the job is busy");
    }

    #[tokio::test]
    async fn who_has_gone_costs_nothing() {
        let inquiries = Inquiries::default();
        {
            let asking = inquiries.ask("t");
            tokio::select! { biased; _ = asking => unreachable!("nobody answers"), () = std::future::ready(()) => {} }
        }
        inquiries.next().await.answer(|_| unreachable!("nobody waits"));
    }

    #[tokio::test]
    async fn questions_do_not_pile_up() {
        let inquiries = Inquiries::default();
        let many = (0..=INQUIRIES_MAX).map(|_| inquiries.ask("t"));
        let mut asking: Vec<_> = many.map(Box::pin).collect();
        let mut refused = 0;
        for ask in &mut asking {
            tokio::select! {
                biased;
                answer = ask => {
                    assert_eq!(answer.unwrap_err().message(), "no answer: too many questions wait");
                    refused += 1;
                }
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(refused, 1);
    }
}
