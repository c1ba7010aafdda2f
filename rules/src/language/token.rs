//! Text to tokens. Each token knows the bytes it came from.

use std::ops::Range;

use winnow::{
    LocatingSlice, Parser, Result,
    ascii::{digit1, multispace0, space0},
    combinator::{alt, delimited, not, opt, preceded, repeat},
    stream::Location,
    token::{one_of, take_while},
};

use super::fault::ExpressionFault;

/// More tokens than this are refused; it also bounds how deep an expression can nest.
pub(crate) const TOKENS_MAX: usize = 512;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Number {
        value: f64,
        unit: Option<(&'a str, Range<usize>)>,
    },
    /// Between single quotes.
    Text(&'a str),
    /// A dotted name, a function, a keyword.
    Name(&'a str),
    Mark(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spanned<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) span: Range<usize>,
}

type Input<'a> = LocatingSlice<&'a str>;

/// Words that are neither names nor units.
pub(crate) const KEYWORDS: [&str; 5] = ["and", "or", "not", "where", "in"];

pub(crate) fn tokens(text: &str) -> std::result::Result<Vec<Spanned<'_>>, ExpressionFault> {
    let mut input = LocatingSlice::new(text);
    let mut tokens = Vec::new();
    loop {
        let Ok(_) = multispace0::<_, winnow::error::ContextError>.parse_next(&mut input) else {
            break;
        };
        if input.is_empty() {
            break;
        }
        let start = input.current_token_start();
        if tokens.len() == TOKENS_MAX {
            return Err(ExpressionFault {
                span: start..text.len(),
                message: format!("the expression has more than {TOKENS_MAX} words and marks"),
                remedy: "split it into several rules, or use an aggregate such as max(racks.power)"
                    .into(),
            });
        }
        let (token, span) =
            token.with_span().parse_next(&mut input).map_err(|_| unexpected(text, start))?;
        tokens.push(Spanned { token, span });
    }
    Ok(tokens)
}

fn unexpected(text: &str, at: usize) -> ExpressionFault {
    let rest = text.get(at..).unwrap_or_default();
    let found = rest.chars().next().unwrap_or(' ');
    let (message, remedy) = match found {
        '\'' => ("the text is not closed".to_owned(), "end it with a single quote: 'Leak'".to_owned()),
        '"' => ("text stands between single quotes".into(), "write 'Leak'".into()),
        '=' => ("\"=\" is not a comparison".into(), "write \"==\"".into()),
        '≥' => ("\"≥\" is not understood".into(), "write \">=\"".into()),
        '≤' => ("\"≤\" is not understood".into(), "write \"<=\"".into()),
        '&' => ("\"&\" is not understood".into(), "write \"and\"".into()),
        '|' => ("\"|\" is not understood".into(), "write \"or\"".into()),
        '!' => ("\"!\" is not understood".into(), "write \"not\", or \"!=\" to compare".into()),
        '.' => ("a number starts with a digit".into(), "write 0.5 instead of .5".into()),
        other => (
            format!("{other:?} has no meaning here"),
            "an expression is made of names, numbers with units, 'text', + - * /, comparisons, and, or, not".into(),
        ),
    };
    ExpressionFault { span: at..at + found.len_utf8().min(rest.len()), message, remedy }
}

fn token<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    alt((number, text, name.map(Token::Name), mark.map(Token::Mark))).parse_next(input)
}

fn number<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    let value = (digit1, opt(('.', digit1)), opt(exponent))
        .take()
        .verify_map(|digits: &str| digits.parse().ok().filter(|value: &f64| value.is_finite()))
        .parse_next(input)?;
    let unit = opt(preceded(space0, unit.with_span())).parse_next(input)?;
    Ok(Token::Number { value, unit })
}

/// `kW`, `%`, `L/min/kW`. A `/` belongs to the unit only when it stands between two unit words without a space, and the
/// second one is not the beginning of a name: `5 kW/rack.feeds` is a division.
fn unit<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    let further = repeat::<_, _, (), _, _>(
        0..,
        (one_of(['/', '*', '·']), unit_word, not(one_of(['.', '_', '-', '(']))),
    );
    (unit_word, further).take().verify(|text: &str| !KEYWORDS.contains(&text)).parse_next(input)
}

fn unit_word<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    let starts = |c: char| c.is_alphabetic() || matches!(c, '°' | '%' | 'µ');
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '°' | '%' | 'µ' | '²' | '³');
    (one_of(starts), take_while(0.., continues)).take().parse_next(input)
}

fn text<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    delimited('\'', take_while(0.., |c| c != '\'' && c != '\n'), '\'')
        .map(Token::Text)
        .parse_next(input)
}

/// Words joined by `.` or `-` without spaces: `cdu-2.tcs.flow` is one name, `a - b` a subtraction.
fn name<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    let start = |c: char| c.is_alphabetic() || c == '_';
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let further = repeat::<_, _, (), _, _>(0.., (one_of(['.', '-']), take_while(1.., inside)));
    (one_of(start), take_while(0.., inside), further).take().parse_next(input)
}

fn mark(input: &mut Input<'_>) -> Result<&'static str> {
    let compare = alt((
        "<=".value("<="),
        ">=".value(">="),
        "==".value("=="),
        "!=".value("!="),
        "<".value("<"),
        ">".value(">"),
    ));
    let arithmetic = alt(("+".value("+"), "-".value("-"), "*".value("*"), "/".value("/")));
    let order = alt(("(".value("("), ")".value(")"), ",".value(",")));
    alt((compare, arithmetic, order)).parse_next(input)
}
