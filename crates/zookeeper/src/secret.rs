use std::fmt;
use std::hint::black_box;

/// Bytes that nobody may see: the password of a session, or of a user.
///
/// Whoever has the id and the password of a session can take part in it and end it. So they are printed by nothing: `Debug` says
/// `<redacted>`, and there is no `Display`. The memory is overwritten when they are dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Keeps these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves, for those who send them to whom they are meant for.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // What is never read again would not need to be overwritten, as far as the compiler can see.
        black_box(&self.0);
    }
}
