use tracing::warn;

/// Reads a stored offset, `/consumers/<group>/offsets/<topic>/<partition>`: the offset of the next message.
///
/// What is no offset (empty, negative, garbage) counts as none stored, which is warned of: tools and other clients leave such
/// texts behind, and Java does not start on them.
pub fn parse_offset(path: &str, data: &[u8]) -> Option<i64> {
    let offset = std::str::from_utf8(data)
        .ok()
        .and_then(|text| text.trim().parse::<i64>().ok())
        .filter(|offset| *offset >= 0);
    if offset.is_none() {
        let shown = String::from_utf8_lossy(data.get(..64).unwrap_or(data));
        warn!("{path} stores no offset but `{shown}`; taken as no stored offset");
    }
    offset
}

/// Writes an offset as Kafka does, in decimal.
pub fn format_offset(offset: i64) -> String {
    offset.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_decimal_offsets() {
        for (text, offset) in [
            ("0", 0),
            ("42", 42),
            (" 42\n", 42),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(parse_offset("/o", text.as_bytes()), Some(offset), "{text}");
        }
        assert_eq!(format_offset(i64::MAX), "9223372036854775807");
    }

    #[test]
    fn takes_everything_else_as_none_stored() {
        for text in [
            "",
            "-1",
            "-9",
            "12a",
            "1.0",
            "9223372036854775808",
            "0x1",
            "{}",
        ] {
            assert_eq!(parse_offset("/o", text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_offset("/o", &[0xff; 1000]), None);
    }
}
