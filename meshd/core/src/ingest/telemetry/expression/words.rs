//! The words of an expression (CEL: lexis).

use std::fmt;

/// One word.
#[derive(Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Number(i64),
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 18] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "(", ")", "[", "]", ".", ",", "?", ":",
];

/// Takes a text apart.
///
/// # Errors
/// If something in it is no word.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let after_first = rest.strip_prefix(first).unwrap_or_default();
        let second = after_first.chars().next();
        let (token, after) = match (first, second) {
            (quote @ ('"' | '\''), _) => quoted(after_first, quote, false)?,
            ('r' | 'R', Some(quote @ ('"' | '\''))) => {
                let inside = after_first.strip_prefix(quote).unwrap_or_default();
                quoted(inside, quote, true)?
            }
            ('0'..='9', _) => number(rest, false)?,
            // There is no subtraction: a sign before digits is that of the number.
            ('-', Some('0'..='9')) => number(after_first, true)?,
            (letter, _) if is_letter(letter) => {
                let end = rest.find(|c| !is_letter(c) && !is_digit(c));
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                (Token::Name(name.to_owned()), after)
            }
            _ => {
                let mut signs = SIGNS.into_iter();
                let found = signs.find_map(|sign| Some((sign, rest.strip_prefix(sign)?)));
                let (sign, after) = found.ok_or_else(|| format!("unexpected `{first}`"))?;
                (Token::Sign(sign), after)
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_'
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

/// A text up to its closing quote; a raw one has no escapes.
fn quoted(inside: &str, quote: char, raw: bool) -> Result<(Token, &str), String> {
    let mut text = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if !raw => {
                text.push(match letters.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(same @ ('\\' | '"' | '\'' | '`' | '?')) => same,
                    _ => return Err("an escape in a text is not supported".to_owned()),
                });
            }
            letter if letter == quote => return Ok((Token::Text(text), letters.as_str())),
            letter => text.push(letter),
        }
    }
    Err("a text is not closed".to_owned())
}

fn number(rest: &str, negative: bool) -> Result<(Token, &str), String> {
    let end = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    let after = after.strip_prefix(['u', 'U']).unwrap_or(after);
    if after.starts_with(|c| is_letter(c) || is_digit(c) || c == '.') {
        return Err(format!("`{digits}` begins no whole number"));
    }
    let number: i64 = digits
        .parse()
        .map_err(|_| format!("the number {digits} is too large"))?;
    Ok((
        Token::Number(if negative { -number } else { number }),
        after,
    ))
}

// === impl Token ===

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Text(text) => write!(f, "the text \"{text}\""),
            Self::Number(number) => write!(f, "the number {number}"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
        }
    }
}
