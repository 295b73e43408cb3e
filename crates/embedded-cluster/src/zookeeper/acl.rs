//! Who may do what with a node.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use divvy_zookeeper::wire::{Acl, Auth, ErrorCode};
use sha1::{Digest as _, Sha1};

const WORLD: &str = "world";
const ANYONE: &str = "anyone";
/// In a list that is given: whoever gives it.
const AUTH: &str = "auth";
const IP: &str = "ip";
const DIGEST: &str = "digest";

/// What a connection has shown that its client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    scheme: String,
    id: String,
}

impl Identity {
    fn new(scheme: &str, id: String) -> Self {
        let scheme = scheme.to_owned();
        Self { scheme, id }
    }

    /// Where a connection comes from, which is all that is known of it at first.
    pub(super) fn of_connection() -> Self {
        Self::new(IP, Ipv4Addr::LOCALHOST.to_string())
    }

    /// Who a client says that it is, if it can be that: whoever names a user with a password is that one.
    pub(super) fn of(auth: &Auth) -> Option<Self> {
        match auth.scheme.as_str() {
            IP => Some(Self::of_connection()),
            DIGEST => {
                let text = String::from_utf8_lossy(auth.data.reveal()).into_owned();
                let (user, _) = text.split_once(':').unwrap_or((&text, ""));
                let digest = STANDARD.encode(Sha1::digest(text.as_bytes()));
                Some(Self::new(DIGEST, format!("{user}:{digest}")))
            }
            _ => None,
        }
    }

    fn is_meant_by(&self, acl: &Acl) -> bool {
        self.scheme == acl.scheme
            && match acl.scheme.as_str() {
                DIGEST => self.id == acl.id,
                IP => address(&self.id) == address(&acl.id),
                _ => false,
            }
    }
}

/// The list that a node gets: in the place of `auth` stand those identities that prove something, behind all others.
pub(super) fn resolve(given: &[Acl], identities: &[Identity]) -> Result<Vec<Acl>, ErrorCode> {
    let mut resolved = Vec::with_capacity(given.len());
    let mut own = Vec::new();
    let mut seen = BTreeSet::new();
    for acl in given {
        // What is there twice is there once, unless one of them comes from `auth`.
        if !seen.insert((acl.permissions, &acl.scheme, &acl.id)) {
            continue;
        }
        match acl.scheme.as_str() {
            AUTH => {
                let proven = identities.iter().filter(|one| one.scheme == DIGEST);
                let before = own.len();
                own.extend(proven.map(|one| Acl {
                    permissions: acl.permissions,
                    scheme: one.scheme.clone(),
                    id: one.id.clone(),
                }));
                if own.len() == before {
                    return Err(ErrorCode::InvalidAcl);
                }
            }
            _ if is_valid(acl) => resolved.push(acl.clone()),
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    resolved.append(&mut own);
    match resolved.is_empty() {
        true => Err(ErrorCode::InvalidAcl),
        false => Ok(resolved),
    }
}

fn is_valid(acl: &Acl) -> bool {
    match acl.scheme.as_str() {
        WORLD => acl.id == ANYONE,
        // Java's split leaves out what is empty at the end.
        DIGEST => acl.id.trim_end_matches(':').split(':').count() == 2,
        IP => address(&acl.id).is_some(),
        _ => false,
    }
}

/// Refuses what a list does not allow. An empty one allows everything.
pub(super) fn check(acl: &[Acl], permission: i32, who: &[Identity]) -> Result<(), ErrorCode> {
    let allows = |acl: &Acl| {
        let is_anyone = acl.scheme == WORLD && acl.id == ANYONE;
        acl.permissions & permission != 0
            && (is_anyone || who.iter().any(|identity| identity.is_meant_by(acl)))
    };
    match acl.is_empty() || acl.iter().any(allows) {
        true => Ok(()),
        false => Err(ErrorCode::NoAuth),
    }
}

/// An address of IPv4. Networks, which 3.4.6 could tell apart, it does not take.
fn address(text: &str) -> Option<[u8; 4]> {
    let parts = text.split('.').map(|part| part.parse::<i32>().ok());
    let bytes = parts.map(|part| u8::try_from(part?).ok());
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}
