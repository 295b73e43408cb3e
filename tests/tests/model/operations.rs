//! Random operations, most of which make sense.

use bytes::Bytes;
use divvy_embedded_cluster::zookeeper::Ensemble;
use divvy_zookeeper::wire::{
    ANY_VERSION, Acl, Check, Create, CreateMode, Delete, Op, OpCode, Request, SetAcl, SetData,
    SetWatches, permission,
};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

/// Nodes that are there now and then.
const PATHS: [&str; 12] = [
    "/m", "/m/a", "/m/a/x", "/m/a/y", "/m/b", "/m/b/x", "/n", "/n/a", "/n/e", "/o", "/o/s", "/p",
];
/// What is no path, or not one of a node that can be changed. The empty path is left out: setting its data ends a thread of the
/// real server.
const ODD: [&str; 12] = [
    "/",
    "m",
    "//",
    "/m/",
    "/m//a",
    "/m/.",
    "/m/../n",
    "/zookeeper",
    "/zookeeper/quota",
    "/m/\0",
    "/m/\u{1}",
    "/m/\u{9f}x",
];
/// What lists are made of, by scheme and name; some of it is refused. The one with the digest is `user` with its password.
const WHO: [(&str, &str); 14] = [
    ("world", "anyone"),
    ("auth", ""),
    ("auth", "ignored"),
    ("digest", "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="),
    ("digest", "user:wrong"),
    ("digest", "user:"),
    ("digest", "a:b:c"),
    ("digest", ":b::"),
    ("ip", "127.0.0.1"),
    ("ip", "127.00.0.+1"),
    ("ip", "127.0.0.0/8"),
    ("ip", "127.0.0.256"),
    ("world", "someone"),
    ("nobody", "knows"),
];
const MODES: [CreateMode; 4] = [
    CreateMode::Persistent,
    CreateMode::Ephemeral,
    CreateMode::PersistentSequential,
    CreateMode::EphemeralSequential,
];

pub(crate) struct Generator<'a> {
    pub(crate) rng: &'a mut StdRng,
    /// Tells which nodes and versions there are.
    pub(crate) model: &'a Ensemble,
}

impl Generator<'_> {
    fn one_in(&mut self, times: u32) -> bool {
        self.rng.random_ratio(1, times)
    }

    fn path(&mut self) -> String {
        let mut path = if self.one_in(25) {
            (*ODD.choose(self.rng).unwrap_or(&"/")).to_owned()
        } else {
            (*PATHS.choose(self.rng).unwrap_or(&"/")).to_owned()
        };
        // Those with a number in their name have no name that is known before.
        if self.one_in(4) {
            let children: Vec<&str> = self.model.children(&path).collect();
            if let Some(child) = children.choose(self.rng)
                && path.starts_with('/')
            {
                path = format!("{}/{child}", path.trim_end_matches('/'));
            }
        }
        path
    }

    fn data(&mut self) -> Option<Bytes> {
        match self.rng.random_range(0..8) {
            0 => None,
            1 => Some(Bytes::new()),
            length => Some(Bytes::from(vec![b'0' + length; usize::from(length)])),
        }
    }

    fn version(&mut self, path: &str) -> i32 {
        let now = self.model.node(path).map_or(0, |node| node.stat.version);
        match self.rng.random_range(0..8) {
            0 => now + 1,
            1 => now.saturating_sub(1),
            2 => -2,
            3..5 => ANY_VERSION,
            _ => now,
        }
    }

    fn create(&mut self) -> Create {
        let acl = if self.one_in(6) {
            self.acl()
        } else {
            vec![Acl::anyone(permission::ALL)]
        };
        Create {
            path: self.path(),
            data: self.data(),
            acl,
            mode: *MODES.choose(self.rng).unwrap_or(&CreateMode::Persistent),
        }
    }

    /// None, or a list that lets `user` do everything, so that no node is out of reach for good.
    fn acl(&mut self) -> Vec<Acl> {
        let count = self.rng.random_range(0..3);
        let mut acl: Vec<Acl> = (0..count).map(|_| self.entry()).collect();
        if !acl.is_empty() || !self.one_in(6) {
            let (scheme, id) = WHO[3];
            acl.push(entry(permission::ALL, scheme, id));
        }
        acl
    }

    fn entry(&mut self) -> Acl {
        // Most of what is refused is far from the front.
        let among = if self.one_in(6) { WHO.len() } else { 4 };
        let (scheme, id) = WHO[self.rng.random_range(0..among)];
        entry(self.rng.random_range(0..=permission::ALL), scheme, id)
    }

    fn set_acl(&mut self) -> SetAcl {
        let path = self.path();
        let now = self.model.node(&path).map_or(0, |node| node.stat.aversion);
        let version = match self.rng.random_range(0..4) {
            0 => now + 1,
            1 => now,
            _ => ANY_VERSION,
        };
        // Without the root nothing could be made or deleted.
        let acl = match path.as_str() {
            "/" | "//" => vec![Acl::anyone(permission::ALL)],
            _ => self.acl(),
        };
        SetAcl { path, acl, version }
    }

    fn delete(&mut self) -> Delete {
        let path = self.path();
        let version = self.version(&path);
        Delete { path, version }
    }

    fn set_data(&mut self) -> SetData {
        let path = self.path();
        SetData {
            version: self.version(&path),
            data: self.data(),
            path,
        }
    }

    fn op(&mut self) -> Op {
        match self.rng.random_range(0..8) {
            0..3 => Op::Create(self.create()),
            3 => Op::Delete(self.delete()),
            4..6 => Op::SetData(self.set_data()),
            _ => {
                let path = self.path();
                let version = self.version(&path);
                Op::Check(Check { path, version })
            }
        }
    }

    fn paths(&mut self) -> Vec<String> {
        let count = self.rng.random_range(0..4);
        (0..count).map(|_| self.path()).collect()
    }

    /// The request that a client sends next, if it is none that ends its connection.
    pub(crate) fn request(&mut self) -> Request {
        let watch = self.rng.random_bool(0.5);
        match self.rng.random_range(0..100) {
            0..22 => Request::Create(self.create()),
            22..34 => Request::Delete(self.delete()),
            34..38 => Request::SetAcl(self.set_acl()),
            38..40 => Request::GetAcl { path: self.path() },
            40..50 => Request::SetData(self.set_data()),
            50..60 => Request::Exists {
                path: self.path(),
                watch,
            },
            60..68 => Request::GetData {
                path: self.path(),
                watch,
            },
            68..72 => Request::GetChildren {
                path: self.path(),
                watch,
            },
            72..78 => Request::GetChildren2 {
                path: self.path(),
                watch,
            },
            78..80 => Request::Sync { path: self.path() },
            80..92 => {
                let count = self.rng.random_range(0..6);
                Request::Multi((0..count).map(|_| self.op()).collect())
            }
            92..96 => {
                let since = self.rng.random_range(0..12);
                Request::SetWatches(SetWatches {
                    last_zxid: (self.model.last_zxid() - since).max(0),
                    data: self.paths(),
                    exist: self.paths(),
                    child: self.paths(),
                })
            }
            96 => self.unreadable(),
            _ => Request::Ping,
        }
    }

    /// A request that the server knows, but whose body ends too early.
    fn unreadable(&mut self) -> Request {
        let known = [
            OpCode::Create,
            OpCode::Delete,
            OpCode::Exists,
            OpCode::GetData,
            OpCode::SetData,
            OpCode::GetChildren,
            OpCode::GetChildren2,
            OpCode::GetAcl,
            OpCode::SetAcl,
            OpCode::Multi,
        ];
        Request::Other {
            code: *known.choose(self.rng).unwrap_or(&OpCode::Create),
            body: Bytes::from_static(&[0, 0]),
        }
    }
}

fn entry(permissions: i32, scheme: &str, id: &str) -> Acl {
    Acl {
        permissions,
        scheme: scheme.to_owned(),
        id: id.to_owned(),
    }
}
