//! The SQL dialect: DataFusion's generic one, and the table arguments of the standard's window table functions.
//!
//! `TUMBLE(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), …)` parses in no stock dialect. Here
//! `TABLE t [PARTITION BY a, b]`, also with brackets around the columns, where an expression may stand, becomes the tuple `(t, a, b)`, which
//! [`super::table_functions`] takes apart again. A query may stand for the table: `TABLE (SELECT …)`.

use datafusion::logical_expr::sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart};
use datafusion::logical_expr::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::logical_expr::sqlparser::keywords::Keyword;
use datafusion::logical_expr::sqlparser::parser::{IsOptional, Parser, ParserError};
use datafusion::logical_expr::sqlparser::tokenizer::Token;
use std::any::TypeId;

/// Generic SQL with `TABLE t [PARTITION BY k, …]` arguments.
#[derive(Debug, Default)]
pub(crate) struct StreamDialect(GenericDialect);

/// Delegates the generic dialect's switches: those that differ from the trait's defaults.
macro_rules! delegate {
    ($($switch:ident),* $(,)?) => { $(fn $switch(&self) -> bool { self.0.$switch() })* };
}

impl Dialect for StreamDialect {
    // Makes the parser's own checks for the generic dialect hold for this one.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    delegate!(
        supports_unicode_string_literal,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        supports_select_wildcard_except,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_limit_comma,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_struct_literal,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_filter_during_aggregation,
        supports_select_wildcard_exclude,
        supports_interval_options,
        supports_select_wildcard_replace,
        supports_comma_separated_trim,
    );

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        let table = match &parser.peek_nth_token_ref(1).token {
            Token::Word(_) => true,
            Token::LParen => {
                let begins = [Keyword::SELECT, Keyword::WITH];
                matches!(&parser.peek_nth_token_ref(2).token, Token::Word(word) if begins.contains(&word.keyword))
            }
            _ => false,
        };
        (word.keyword == Keyword::TABLE && table).then(|| parse_table_argument(parser))
    }
}

fn parse_table_argument(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_keyword(Keyword::TABLE)?;
    let mut tuple = vec![parse_table(parser)?];
    if parser.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
        if parser.peek_token_ref().token == Token::LParen {
            let columns = parser.parse_parenthesized_column_list(IsOptional::Mandatory, false)?;
            tuple.extend(columns.into_iter().map(Expr::Identifier));
            return Ok(Expr::Tuple(tuple));
        }
        tuple.push(Expr::Identifier(parser.parse_identifier()?));
        while next_is_another_column(parser) {
            parser.expect_token(&Token::Comma)?;
            tuple.push(Expr::Identifier(parser.parse_identifier()?));
        }
    }
    Ok(Expr::Tuple(tuple))
}

/// A table's name, or a query in brackets.
fn parse_table(parser: &mut Parser) -> Result<Expr, ParserError> {
    if parser.consume_token(&Token::LParen) {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        return Ok(Expr::Subquery(query));
    }
    let ObjectName(parts) = parser.parse_object_name(false)?;
    let parts: Vec<Ident> = parts
        .into_iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(ident),
            ObjectNamePart::Function(f) => Err(ParserError::ParserError(format!("{f} cannot name a table"))),
        })
        .collect::<Result<_, _>>()?;
    Ok(Expr::CompoundIdentifier(parts))
}

/// In `PARTITION BY a, b, DESCRIPTOR(c)` the first comma continues the list, the second ends it: a word follows, and no call and no `=>`.
fn next_is_another_column(parser: &Parser) -> bool {
    parser.peek_token_ref().token == Token::Comma
        && matches!(&parser.peek_nth_token_ref(1).token, Token::Word(_))
        && !matches!(parser.peek_nth_token_ref(2).token, Token::LParen | Token::RArrow)
}
