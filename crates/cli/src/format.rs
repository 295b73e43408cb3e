use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use divvy::{Record, TopicPartition};
use serde_json::{Map, Value};

use crate::errors::usage;

/// How a message becomes a line.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// kcat's tokens between literal text.
    Tokens(Vec<Token>),
    /// One JSON object.
    Json,
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Literal(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    KeyLength,
    Value,
    ValueLength,
}

impl Format {
    /// Reads a format with kcat's tokens and the escapes `\n`, `\t`, `\r`, `\0` and `\\`.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut tokens = Vec::new();
        let mut literal = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let token = match (c, c == '%' || c == '\\') {
                (_, false) => {
                    literal.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                ('\\', _) => {
                    literal.push(escape(chars.next())?);
                    continue;
                }
                _ => match chars.next() {
                    Some('%') => {
                        literal.push(b'%');
                        continue;
                    }
                    Some('t') => Token::Topic,
                    Some('p') => Token::Partition,
                    Some('o') => Token::Offset,
                    Some('T') => Token::Timestamp,
                    Some('k') => Token::Key,
                    Some('K') => Token::KeyLength,
                    Some('s') => Token::Value,
                    Some('S') => Token::ValueLength,
                    other => {
                        let other = other.map(String::from).unwrap_or_default();
                        return Err(usage(format!(
                            "--format: %{other} is not known; there are %t %p %o %T %k %K %s %S and %%"
                        )));
                    }
                },
            };
            if !literal.is_empty() {
                tokens.push(Token::Literal(std::mem::take(&mut literal)));
            }
            tokens.push(token);
        }
        if !literal.is_empty() {
            tokens.push(Token::Literal(literal));
        }
        Ok(Self::Tokens(tokens))
    }

    /// Appends a message to a buffer.
    pub(crate) fn write(&self, out: &mut Vec<u8>, tp: &TopicPartition, record: &Record<'_>) {
        match self {
            Self::Tokens(tokens) => {
                for token in tokens {
                    token.write(out, tp, record);
                }
            }
            Self::Json => {
                out.extend_from_slice(json(tp, record).to_string().as_bytes());
                out.push(b'\n');
            }
        }
    }
}

fn escape(c: Option<char>) -> anyhow::Result<u8> {
    Ok(match c {
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('r') => b'\r',
        Some('0') => 0,
        Some('\\') => b'\\',
        other => {
            let other = other.map(String::from).unwrap_or_default();
            return Err(usage(format!(
                "--format: \\{other} is not known; there are \\n \\t \\r \\0 and \\\\"
            )));
        }
    })
}

impl Token {
    fn write(&self, out: &mut Vec<u8>, tp: &TopicPartition, record: &Record<'_>) {
        match self {
            Self::Literal(text) => out.extend_from_slice(text),
            Self::Topic => out.extend_from_slice(tp.topic.as_bytes()),
            Self::Partition => number(out, tp.partition.into()),
            Self::Offset => number(out, record.offset),
            Self::Timestamp => number(out, record.timestamp.unwrap_or(-1)),
            Self::Key => out.extend_from_slice(record.key.unwrap_or_default()),
            Self::KeyLength => length(out, record.key),
            Self::Value => out.extend_from_slice(record.value.unwrap_or_default()),
            Self::ValueLength => length(out, record.value),
        }
    }
}

/// kcat prints −1 for the length of what is not there.
fn length(out: &mut Vec<u8>, part: Option<&[u8]>) {
    number(
        out,
        part.map_or(-1, |part| i64::try_from(part.len()).unwrap_or(i64::MAX)),
    );
}

fn number(out: &mut Vec<u8>, number: i64) {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{number}");
    out.extend_from_slice(text.as_bytes());
}

fn json(tp: &TopicPartition, record: &Record<'_>) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), tp.topic.as_ref().into());
    object.insert("partition".to_owned(), tp.partition.into());
    object.insert("offset".to_owned(), record.offset.into());
    object.insert("timestamp".to_owned(), record.timestamp.into());
    bytes(&mut object, "key", record.key);
    bytes(&mut object, "value", record.value);
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|header| {
            let mut object = Map::new();
            object.insert("key".to_owned(), header.key_str().into());
            bytes(&mut object, "value", header.value);
            Value::Object(object)
        })
        .collect();
    object.insert("headers".to_owned(), headers.into());
    Value::Object(object)
}

/// Text as text, other bytes as `<name>_base64`, and nothing as null.
pub(crate) fn bytes(object: &mut Map<String, Value>, name: &str, value: Option<&[u8]>) {
    match value.map(std::str::from_utf8) {
        None => object.insert(name.to_owned(), Value::Null),
        Some(Ok(text)) => object.insert(name.to_owned(), text.into()),
        Some(Err(_)) => object.insert(
            format!("{name}_base64"),
            STANDARD.encode(value.unwrap_or_default()).into(),
        ),
    };
}
