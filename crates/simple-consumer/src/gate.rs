use std::fmt;

/// Whether what a consumer holds may be handed out at this moment.
///
/// A coordination whose right to a partition runs out with time gives a gate with each partition
/// ([`Engine::assign`](crate::Engine::assign)). It is asked right before a message is handed out and before an offset is
/// stored, so that a consumer that slept does nothing with what it held: it must be cheap and must never say yes because nobody
/// has noticed yet.
///
/// Whoever opens a gate that was shut calls [`Engine::resume`](crate::Engine::resume) or [`Engine::wake`](crate::Engine::wake),
/// because receivers do not look again by themselves.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Whether messages may be handed out, and offsets stored, now.
    fn is_open(&self) -> bool;
}

/// The gate of a consumer whose right never ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlwaysOpen;

impl Gate for AlwaysOpen {
    fn is_open(&self) -> bool {
        true
    }
}
