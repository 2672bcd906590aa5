//! How deep a query nests, told from its tokens before anybody makes a tree of it.
//!
//! `a + b + c` is a tree as deep as it has terms, and so is a chain of `OR`, `UNION` or `JOIN`. Parser and planner walk over such a tree
//! by recursion, and a stack that overflows cannot be refused any more: it ends the process. (The parser counts brackets only.)

use datafusion::logical_expr::sqlparser::keywords::Keyword;
use datafusion::logical_expr::sqlparser::tokenizer::{Token, Tokenizer};

use super::dialect::StreamDialect;
use super::refusal::{SqlText, refuse_at};
use crate::error::Result;
use crate::limits::QUERY_DEPTH_MAX;

/// What is between two brackets, as far as it was read.
#[derive(Debug, Default)]
struct Level {
    /// Operators since the item began: each may be one step deeper than the one before.
    item: usize,
    /// Tables and queries that are joined or united: these no comma ends.
    joined: usize,
    /// Whether commas are between tables.
    from: bool,
}

impl Level {
    fn read(&mut self, token: &Token) {
        let keyword = match token {
            Token::Word(word) => word.keyword,
            Token::Comma if self.from => return self.joined += 1,
            Token::Comma => return self.item = 0,
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Period => return,
            Token::Whitespace(_) | Token::EOF => return,
            _ => return self.item += 1,
        };
        match keyword {
            Keyword::NoKeyword => {}
            Keyword::SELECT | Keyword::WHERE | Keyword::HAVING | Keyword::BY => (self.item, self.from) = (0, false),
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE => self.item = 0,
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN => self.joined += 1,
            // `IS DISTINCT FROM` is an operator: it does not begin anew.
            Keyword::FROM => (self.item, self.from) = (self.item + 1, true),
            _ => self.item += 1,
        }
    }

    fn depth(&self) -> usize {
        self.item + self.joined
    }
}

/// Refuses a query that nests deeper than [`QUERY_DEPTH_MAX`]. The depth is that of the tree or somewhat more: a name that is a keyword
/// counts as an operator.
///
/// # Errors
/// A user error at the line where it gets too deep. What is no SQL passes: the parser says what is wrong with it.
pub(crate) fn check<'a>(text: impl Into<SqlText<'a>>, dialect: &StreamDialect) -> Result<()> {
    let text = text.into();
    let Ok(tokens) = Tokenizer::new(dialect, text.sql).tokenize_with_location() else { return Ok(()) };
    let (mut outer, mut inner) = (Vec::<Level>::new(), Level::default());
    let mut after_period = false;
    for token in &tokens {
        // `t.by`, `t.end`: a column, whatever word it is.
        let is_column = after_period && matches!(token.token, Token::Word(_));
        after_period = token.token == Token::Period;
        if is_column {
            continue;
        }
        match bracket(&token.token) {
            Some(Bracket::Opens) => {
                inner.item += 1;
                outer.push(std::mem::take(&mut inner));
            }
            Some(Bracket::Closes) => inner = outer.pop().unwrap_or(inner),
            None => inner.read(&token.token),
        }
        let depth = inner.depth() + outer.iter().map(Level::depth).sum::<usize>();
        if depth > QUERY_DEPTH_MAX {
            let line = usize::try_from(token.span.start.line).unwrap_or(1);
            let reason = format!(
                "the query nests deeper than {QUERY_DEPTH_MAX} levels, a chain of operators being a level each"
            );
            return Err(
                refuse_at(text, line, &reason).hint("write a chain of OR as IN (…); halve other chains by brackets")
            );
        }
    }
    Ok(())
}

enum Bracket {
    Opens,
    Closes,
}

fn bracket(token: &Token) -> Option<Bracket> {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Some(Bracket::Opens),
        Token::RParen | Token::RBracket | Token::RBrace => Some(Bracket::Closes),
        Token::Word(word) if word.keyword == Keyword::CASE => Some(Bracket::Opens),
        Token::Word(word) if word.keyword == Keyword::END => Some(Bracket::Closes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Compiler, PipelineFile};
    use crate::schema::Contract;

    fn file(sql: &str) -> PipelineFile {
        PipelineFile::parse("p/x.sql", &format!("/*\ntitle = \"t\"\n*/\n{sql}")).unwrap()
    }

    fn is_fine(sql: &str) -> bool {
        check(&file(sql), &StreamDialect::default()).is_ok()
    }

    fn chain(term: &str, operator: &str, terms: usize) -> String {
        format!("SELECT {} AS n FROM t", vec![term; terms].join(operator))
    }

    #[test]
    fn chains_of_all_kinds_are_bounded() {
        let chains = [
            ("a", " + "),
            ("a = 'x'", " OR "),
            ("a", " AND "),
            ("a", " IS DISTINCT FROM "),
            ("(a)", " || "),
            ("CASE WHEN a THEN b ELSE c END", " - "),
            ("f(a, b)", " * "),
            ("a", "::int "),
            ("u.by", " + "),
            ("u.then", " + "),
            ("u.end", " + "),
            ("a[1]", " [1] "),
            ("a", " FROM t UNION ALL SELECT "),
            ("a FROM (SELECT 1) x", " JOIN (SELECT 2) y ON a = b "),
        ];
        for (term, operator) in chains {
            assert!(is_fine(&chain(term, operator, 20)), "{operator}");
            assert!(!is_fine(&chain(term, operator, QUERY_DEPTH_MAX + 1)), "{operator}");
        }
        assert!(!is_fine(&format!("SELECT 1 FROM t{}", ", t".repeat(QUERY_DEPTH_MAX + 1))));
        assert!(!is_fine(&format!("SELECT {}", "(".repeat(QUERY_DEPTH_MAX + 1))));
    }

    #[test]
    fn what_is_long_and_not_deep_is_fine() {
        assert!(is_fine(&format!("SELECT {}", vec!["a + b * c AS d"; 1_000].join(", "))));
        assert!(is_fine(&format!("SELECT * FROM t WHERE a IN ({})", vec!["'x'"; 10_000].join(", "))));
        assert!(is_fine(&format!("SELECT CASE {} END", vec!["WHEN a = 'b' THEN c + 1"; 1_000].join(" "))));
        let half = format!("({})", vec!["a"; QUERY_DEPTH_MAX / 2].join(" + "));
        assert!(is_fine(&format!("SELECT {half} + {half} + {half}")));
        assert!(is_fine("SELECT ']' || \"(((\" -- ((("));
        assert!(is_fine("))) 'not closed"));
        PipelineFile::shipped().into_iter().for_each(|file| check(&file.unwrap(), &StreamDialect::default()).unwrap());
    }

    #[tokio::test]
    async fn what_would_overflow_the_stack_is_refused_with_its_line() {
        let sql = chain("played_ms", "\n+ ", 200_000).replace("FROM t", "FROM user_events");
        let compiled = Compiler::new(&Contract::shipped().unwrap()).unwrap().compile(&file(&sql)).await;
        let e = compiled.err().unwrap();
        assert_eq!((e.exit_code(), e.place()), (2, Some(&*format!("p/x.sql:{}", 4 + QUERY_DEPTH_MAX + 1))));
    }
}
