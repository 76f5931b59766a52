//! Text and actions; the tokens of an action.

use std::sync::Arc;

use super::{Place, TemplateError};

/// A part of a template file.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// Goes out as it is.
    Text(String),
    /// `{{ … }}`.
    Action { place: Place, tokens: Vec<Token> },
}

/// A token of an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word: function, keyword, `true`.
    Word(String),
    /// `.a.b`, or `.` with no names. `spaced`: something other than a value stands right before it.
    Field { names: Vec<String>, spaced: bool },
    /// `$x`, or `$` with an empty name.
    Variable(String),
    /// A string.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `(`, `)`, `|`, `,`, `:=`, `=`.
    Sign(&'static str),
}

const SIGNS: [&str; 6] = ["(", ")", "|", ",", ":=", "="];

/// Cuts a file into parts; comments are gone, white space is trimmed where asked for.
pub(super) fn parts(file: &str, text: &str) -> Result<Vec<Part>, TemplateError> {
    let file: Arc<str> = file.into();
    let mut parts = Vec::new();
    let mut rest = text;
    let mut line = 1;
    let mut trim = false;
    loop {
        let (before, found) = match rest.split_once("{{") {
            Some((before, after)) => (before, Some(after)),
            None => (rest, None),
        };
        let left = found.is_some_and(|after| {
            after
                .strip_prefix('-')
                .is_some_and(|after| after.starts_with(char::is_whitespace))
        });
        let mut shown = before;
        if trim {
            shown = shown.trim_start();
        }
        if left {
            shown = shown.trim_end();
        }
        if !shown.is_empty() {
            parts.push(Part::Text(shown.to_owned()));
        }
        line += before.matches('\n').count();
        let Some(after) = found else {
            return Ok(parts);
        };
        let place = Place {
            file: file.clone(),
            line,
        };
        let after = after.strip_prefix('-').filter(|_| left).unwrap_or(after);
        let (inside, next) = action(after).ok_or_else(|| place.error("`{{` without `}}`"))?;
        line += inside.matches('\n').count();
        let trimmed = inside
            .strip_suffix('-')
            .filter(|inside| inside.ends_with(char::is_whitespace));
        trim = trimmed.is_some();
        let inside = trimmed.unwrap_or(inside).trim();
        if !inside.starts_with("/*") {
            parts.push(Part::Action {
                tokens: tokens(&place, inside)?,
                place,
            });
        }
        rest = next;
    }
}

/// Up to the `}}` that is in no string and no comment, and what follows it.
fn action(text: &str) -> Option<(&str, &str)> {
    if text.trim_start().starts_with("/*") {
        let end = text.find("*/")?;
        let close = end + text.get(end..)?.find("}}")?;
        return Some((text.get(..close)?, text.get(close + 2..)?));
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if c == '\\' && !escaped => {
                escaped = true;
                continue;
            }
            Some(open) if c == open && !escaped => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if text.get(at..)?.starts_with("}}") => {
                return Some((text.get(..at)?, text.get(at + 2..)?));
            }
            None => {}
        }
        escaped = false;
    }
    None
}

fn tokens(place: &Place, text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut spaced = true;
    loop {
        let trimmed = rest.trim_start();
        spaced |= trimmed.len() != rest.len();
        rest = trimmed;
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let (token, used) = if let Some(sign) = SIGNS.into_iter().find(|s| rest.starts_with(s)) {
            (Token::Sign(sign), sign.len())
        } else if first == '.' {
            field(rest, spaced)
        } else if first == '$' {
            let name = word(rest.get(1..).unwrap_or_default());
            (Token::Variable(name.to_owned()), 1 + name.len())
        } else if first == '"' || first == '`' {
            string(place, rest, first)?
        } else if first.is_ascii_digit() || first == '-' {
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| !c.is_ascii_digit())
                .map_or(rest.len(), |(at, _)| at);
            let digits = rest.get(..end).unwrap_or_default();
            let number = digits
                .parse()
                .map_err(|_| place.error(format!("`{digits}` is no whole number")))?;
            (Token::Number(number), end)
        } else {
            let name = word(rest);
            if name.is_empty() {
                return Err(place.error(format!("`{first}` is not of the language")));
            }
            (Token::Word(name.to_owned()), name.len())
        };
        spaced = matches!(&token, Token::Sign(sign) if *sign != ")");
        tokens.push(token);
        rest = rest.get(used..).unwrap_or_default();
    }
}

fn field(text: &str, spaced: bool) -> (Token, usize) {
    let mut names = Vec::new();
    let mut used = 0;
    while let Some(rest) = text.get(used..).and_then(|rest| rest.strip_prefix('.')) {
        let name = word(rest);
        used += 1 + name.len();
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
    }
    (Token::Field { names, spaced }, used)
}

fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn string(place: &Place, text: &str, quote: char) -> Result<(Token, usize), TemplateError> {
    let inside = text.get(1..).unwrap_or_default();
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((Token::Text(value), at + 2)),
            '\\' if quote == '"' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                _ => return Err(place.error("a string has an escape other than \\n \\t \\\" \\\\")),
            },
            _ => value.push(c),
        }
    }
    Err(place.error("a string does not end"))
}
