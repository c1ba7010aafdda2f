//! Tokens to a tree, by precedence climbing.

use std::{fmt::Write, ops::Range};

use super::{
    fault::ExpressionFault,
    token::{KEYWORDS, Spanned, Token, tokens},
};

/// Parentheses and signs nested deeper than this are refused, so that no text can exhaust the stack.
const DEPTH_MAX: usize = 48;

/// One node of an expression as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Bytes of the expression text.
    pub span: Range<usize>,
    pub what: Form,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    Number {
        value: f64,
        /// The unit as written, and where.
        unit: Option<(String, Range<usize>)>,
    },
    Text(String),
    Name(String),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Binary {
        operator: Operator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Call {
        function: String,
        function_span: Range<usize>,
        arguments: Vec<Argument>,
    },
}

impl Expr {
    /// The expression without its places: equal for equal expressions, wherever they are written.
    pub(crate) fn unplaced(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match &self.what {
            Form::Number { value, unit } => {
                write!(out, "{value:?} {:?};", unit.as_ref().map(|(unit, _)| unit))
            }
            Form::Text(text) => write!(out, "{text:?};"),
            Form::Name(name) => write!(out, "{name};"),
            Form::Negate(_) => write!(out, "- "),
            Form::Not(_) => write!(out, "not "),
            Form::Binary { operator, .. } => write!(out, "{operator:?} "),
            Form::Call { function, arguments, .. } => {
                let filters = arguments.iter().map(|argument| argument.filter.is_some());
                write!(out, "{function} {:?} ", filters.collect::<Vec<_>>())
            }
        };
        self.parts(&mut |part| part.write(out));
    }

    /// Whether a name in it is this one, or begins with it: `rack.power` for `rack`.
    pub(crate) fn names(&self, head: &str) -> bool {
        let mut found =
            matches!(&self.what, Form::Name(name) if name.split('.').next() == Some(head));
        self.parts(&mut |part| found = found || part.names(head));
        found
    }

    fn parts(&self, visit: &mut dyn FnMut(&Self)) {
        match &self.what {
            Form::Number { .. } | Form::Text(_) | Form::Name(_) => {}
            Form::Negate(inner) | Form::Not(inner) => visit(inner),
            Form::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Form::Call { arguments, .. } => {
                for argument in arguments {
                    visit(&argument.value);
                    argument.filter.iter().for_each(&mut *visit);
                }
            }
        }
    }
}

/// An argument, with the filter that only aggregates take: `racks where power > 5 kW`.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    pub value: Expr,
    pub filter: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Compare(Test),
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Test {
    pub fn mark(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// The same test with its sides exchanged: `a < b` is `b > a`.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal => Self::Equal,
            Self::NotEqual => Self::NotEqual,
        }
    }

    #[expect(clippy::float_cmp, reason = "equality is what the rule asks for")]
    pub(crate) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }

    /// The test that holds exactly where this one does not.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
        }
    }

    /// `<`, `<=`, `>` and `>=` have a limit that a deadband can move.
    pub fn has_limit(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl Operator {
    fn read(token: &Token<'_>) -> Option<Self> {
        Some(match token {
            Token::Name("or") => Self::Or,
            Token::Name("and") => Self::And,
            Token::Mark("<") => Self::Compare(Test::Less),
            Token::Mark("<=") => Self::Compare(Test::LessOrEqual),
            Token::Mark(">") => Self::Compare(Test::Greater),
            Token::Mark(">=") => Self::Compare(Test::GreaterOrEqual),
            Token::Mark("==") => Self::Compare(Test::Equal),
            Token::Mark("!=") => Self::Compare(Test::NotEqual),
            Token::Mark("+") => Self::Add,
            Token::Mark("-") => Self::Subtract,
            Token::Mark("*") => Self::Multiply,
            Token::Mark("/") => Self::Divide,
            Token::Name(_) | Token::Mark(_) | Token::Number { .. } | Token::Text(_) => return None,
        })
    }

    /// How tightly it binds; `not` stands between `and` and the comparisons.
    fn power(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Compare(_) => COMPARISON,
            Self::Add | Self::Subtract => 5,
            Self::Multiply | Self::Divide => 6,
        }
    }
}

const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const SIGN: u8 = 7;

/// The `for` clause: `cdu in cdus where technology == 'cold_plate'`.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    pub variable: String,
    pub set: String,
    pub set_span: Range<usize>,
    pub filter: Option<Expr>,
}

/// Reads a condition. Any text gives a tree or a fault, never a panic.
pub fn parse(text: &str) -> Result<Expr, ExpressionFault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, end: text.len() };
    let tree = parser.expression(0)?;
    parser.expect_end()?;
    Ok(tree)
}

/// Reads a `for` clause.
pub fn parse_each(text: &str) -> Result<Each, ExpressionFault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, end: text.len() };
    let variable = parser.word("a variable", "write, for example, \"cdu in cdus\"")?.0;
    if !parser.skip(&Token::Name("in")) {
        return Err(parser.fault("\"in\" is expected", "write, for example, \"cdu in cdus\""));
    }
    let (set, set_span) =
        parser.word("a set such as \"cdus\"", "write, for example, \"cdu in cdus\"")?;
    let filter =
        if parser.skip(&Token::Name("where")) { Some(parser.expression(0)?) } else { None };
    parser.expect_end()?;
    Ok(Each { variable, set, set_span, filter })
}

struct Parser<'a> {
    tokens: &'a [Spanned<'a>],
    at: usize,
    depth: usize,
    end: usize,
}

impl<'a> Parser<'a> {
    fn expression(&mut self, least: u8) -> Result<Expr, ExpressionFault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(
                self.fault("the expression nests too deeply", "split it into several rules")
            );
        }
        let mut left = self.operand()?;
        while let Some(operator) = self.peek().and_then(Operator::read) {
            if operator.power() < least.max(1) {
                break;
            }
            if let (Operator::Compare(_), Form::Binary { operator: Operator::Compare(_), .. }) =
                (operator, &left.what)
            {
                return Err(self.fault(
                    "comparisons do not chain",
                    "write \"a < b and b < c\", or put parentheses",
                ));
            }
            self.at += 1;
            let right = self.expression(operator.power() + 1)?;
            left = Expr {
                span: left.span.start..right.span.end,
                what: Form::Binary { operator, left: left.into(), right: right.into() },
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expr, ExpressionFault> {
        let Some(Spanned { token, span }) = self.tokens.get(self.at) else {
            return Err(
                self.fault("the expression ends too early", "add what is missing at the end")
            );
        };
        self.at += 1;
        let (span, what) = match token {
            Token::Number { value, unit } => (
                span.clone(),
                Form::Number {
                    value: *value,
                    unit: unit.as_ref().map(|(unit, at)| ((*unit).to_owned(), at.clone())),
                },
            ),
            Token::Text(text) => (span.clone(), Form::Text((*text).to_owned())),
            Token::Mark("-") => {
                let inner = self.expression(SIGN)?;
                (span.start..inner.span.end, Form::Negate(inner.into()))
            }
            Token::Name("not") => {
                let inner = self.expression(NOT)?;
                (span.start..inner.span.end, Form::Not(inner.into()))
            }
            Token::Mark("(") => {
                let inner = self.expression(0)?;
                let end = self.close()?;
                (span.start..end, inner.what)
            }
            Token::Name(name) if !KEYWORDS.contains(name) => {
                if self.peek() == Some(&Token::Mark("(")) {
                    return self.call(name, span.clone());
                }
                (span.clone(), Form::Name((*name).to_owned()))
            }
            Token::Name(_) | Token::Mark(_) => {
                self.at -= 1;
                return Err(self.fault(
                    "a name, a number or a function is expected",
                    "remove it, or add what stands before it",
                ));
            }
        };
        Ok(Expr { span, what })
    }

    fn call(
        &mut self,
        function: &str,
        function_span: Range<usize>,
    ) -> Result<Expr, ExpressionFault> {
        self.at += 1;
        let mut arguments = Vec::new();
        if self.peek() != Some(&Token::Mark(")")) {
            loop {
                let value = self.expression(0)?;
                let filter =
                    if self.skip(&Token::Name("where")) { Some(self.expression(0)?) } else { None };
                arguments.push(Argument { value, filter });
                if !self.skip(&Token::Mark(",")) {
                    break;
                }
            }
        }
        let end = self.close()?;
        let span = function_span.start..end;
        Ok(Expr {
            span,
            what: Form::Call { function: function.to_owned(), function_span, arguments },
        })
    }

    fn close(&mut self) -> Result<usize, ExpressionFault> {
        let end = self.here().end;
        if self.skip(&Token::Mark(")")) {
            Ok(end)
        } else {
            Err(self.fault("\")\" is expected", "close the parenthesis"))
        }
    }

    fn word(
        &mut self,
        what: &str,
        remedy: &str,
    ) -> Result<(String, Range<usize>), ExpressionFault> {
        match self.tokens.get(self.at) {
            Some(Spanned { token: Token::Name(name), span })
                if !KEYWORDS.contains(name) && !name.contains(['.', '-']) =>
            {
                self.at += 1;
                Ok(((*name).to_owned(), span.clone()))
            }
            Some(_) | None => Err(self.fault(&format!("{what} is expected"), remedy)),
        }
    }

    fn expect_end(&self) -> Result<(), ExpressionFault> {
        match self.peek() {
            None => Ok(()),
            Some(Token::Mark(")")) => {
                Err(self.fault("this parenthesis was never opened", "remove it"))
            }
            Some(_) => Err(self.fault("an operator is expected before this", "join the parts with and, or, +, …; a name with a minus needs spaces around the minus")),
        }
    }

    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    fn skip(&mut self, token: &Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn here(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.end..self.end, |spanned| spanned.span.clone())
    }

    fn fault(&self, message: &str, remedy: &str) -> ExpressionFault {
        ExpressionFault {
            span: self.here(),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}
