/// `String.hashCode` of Java: `h = 31 * h + unit` over the UTF-16 units, in wrapping signed 32-bit arithmetic.
pub(super) fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}
