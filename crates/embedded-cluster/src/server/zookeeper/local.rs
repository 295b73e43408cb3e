use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use divvy_zookeeper::wire::{
    Acl, ClientCodec, ClientFrame, ConnectRequest, Create, CreateMode, Delete, ErrorCode, Request,
    Response, Secret, ServerFrame, SetData, permission,
};

use super::hub::Hub;
use super::outbox::Outbox;
use crate::zookeeper::ConnectionId;

/// A session of this process itself, without a socket. It has to be kept alive with [`ping`](Self::ping), as any other.
#[derive(Debug)]
pub(in crate::server) struct LocalSession {
    hub: Arc<Hub>,
    connection: ConnectionId,
    outbox: Arc<Outbox>,
    id: i64,
    password: Secret,
    timeout_ms: i32,
    client: Mutex<Client>,
}

#[derive(Debug, Default)]
struct Client {
    codec: ClientCodec,
    xid: i32,
}

impl LocalSession {
    /// A new session. The server always serves its own process.
    pub(in crate::server) fn open(hub: &Arc<Hub>, timeout_ms: i32) -> Result<Self, ErrorCode> {
        let new = ConnectRequest {
            timeout_ms,
            ..ConnectRequest::default()
        };
        Self::attach(hub, new)
    }

    /// The same session on another connection, or a new session where this one has ended.
    pub(in crate::server) fn reopen(&self) -> Result<Self, ErrorCode> {
        let same = ConnectRequest {
            timeout_ms: self.timeout_ms,
            session_id: self.id,
            password: self.password.clone(),
            ..ConnectRequest::default()
        };
        Self::attach(&self.hub, same).or_else(|_| Self::open(&self.hub, self.timeout_ms))
    }

    fn attach(hub: &Arc<Hub>, request: ConnectRequest) -> Result<Self, ErrorCode> {
        let (connection, outbox) = hub.connect().ok_or(ErrorCode::SystemError)?;
        let mut client = Client::default();
        let timeout_ms = request.timeout_ms;
        hub.receive(connection, ClientFrame::Connect(request));
        let mut received = outbox.take_now();
        match client.codec.decode(&mut received) {
            Ok(Some(ServerFrame::Connect(session))) if session.session_id != 0 => Ok(Self {
                hub: Arc::clone(hub),
                connection,
                outbox,
                id: session.session_id,
                password: session.password,
                timeout_ms,
                client: Mutex::new(client),
            }),
            _ => Err(ErrorCode::SystemError),
        }
    }

    pub(in crate::server) fn id(&self) -> i64 {
        self.id
    }

    /// Asks, and has the answer at once, because a standalone server decides at once.
    fn ask(&self, request: Request) -> Result<Response, ErrorCode> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.xid = client.xid.wrapping_add(1) & i32::MAX;
        let xid = client.xid;
        let frame = ClientFrame::Request { xid, request };
        // It is not sent; the codec has to know what will be answered.
        let encoded = client.codec.encode(&frame, &mut BytesMut::new());
        encoded.map_err(|_| ErrorCode::MarshallingError)?;
        self.hub.receive(self.connection, frame);
        let mut received = self.outbox.take_now();
        while let Ok(Some(frame)) = client.codec.decode(&mut received) {
            if let ServerFrame::Reply { result, .. } = frame {
                return result;
            }
        }
        Err(ErrorCode::SessionExpired)
    }

    /// Keeps the session alive; `false` where it has ended.
    pub(in crate::server) fn ping(&self) -> bool {
        let path = "/".to_owned();
        let watch = false;
        self.ask(Request::Exists { path, watch }).is_ok()
    }

    pub(in crate::server) fn create(
        &self,
        path: &str,
        data: Option<&str>,
        mode: CreateMode,
    ) -> Result<(), ErrorCode> {
        let create = Request::Create(Create {
            path: path.to_owned(),
            data: data.map(|text| Bytes::copy_from_slice(text.as_bytes())),
            acl: vec![Acl::anyone(permission::ALL)],
            mode,
        });
        self.ask(create).map(drop)
    }

    pub(in crate::server) fn set(&self, path: &str, data: &str) -> Result<(), ErrorCode> {
        let set = Request::SetData(SetData {
            path: path.to_owned(),
            data: Some(Bytes::copy_from_slice(data.as_bytes())),
            version: -1,
        });
        self.ask(set).map(drop)
    }

    pub(in crate::server) fn delete(&self, path: &str) -> Result<(), ErrorCode> {
        let path = path.to_owned();
        let version = -1;
        self.ask(Request::Delete(Delete { path, version }))
            .map(drop)
    }

    /// Sets a node's data, and creates it where there is none, with its parents.
    pub(in crate::server) fn put(&self, path: &str, data: &str) -> Result<(), ErrorCode> {
        match self.set(path, data) {
            Err(ErrorCode::NoNode) => self.make(path, Some(data)),
            other => other,
        }
    }

    /// Creates a node with its parents, where there is none.
    pub(in crate::server) fn make(&self, path: &str, data: Option<&str>) -> Result<(), ErrorCode> {
        for (slash, _) in path.match_indices('/').skip(1) {
            let parent = path.get(..slash).unwrap_or_default();
            unless_there(self.create(parent, None, CreateMode::Persistent))?;
        }
        unless_there(self.create(path, data, CreateMode::Persistent))
    }

    /// Deletes a node with everything below it.
    pub(in crate::server) fn remove(&self, path: &str) -> Result<(), ErrorCode> {
        for child in self.hub.children(path) {
            self.remove(&format!("{path}/{child}"))?;
        }
        match self.delete(path) {
            Err(ErrorCode::NoNode) => Ok(()),
            other => other,
        }
    }

    /// Ends the session; its ephemeral nodes go.
    pub(in crate::server) fn close(&self) {
        // It may have ended already.
        let _ = self.ask(Request::CloseSession);
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        self.hub.disconnect(self.connection);
    }
}

fn unless_there(created: Result<(), ErrorCode>) -> Result<(), ErrorCode> {
    match created {
        Err(ErrorCode::NodeExists) => Ok(()),
        other => other,
    }
}
