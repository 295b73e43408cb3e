use bytes::Bytes;

use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// A request's or a response's body.
///
/// The version must be one that [`ApiKey::supports`] allows. The functions of this module check that; who calls these methods
/// does it himself, and otherwise gets the layout of the nearest version that there is.
pub trait Message: Sized {
    /// Writes itself in the layout of a version.
    ///
    /// # Errors
    ///
    /// Something is too long for the protocol, or cannot be said in this version.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Reads itself in the layout of a version. Bytes behind it are left to the caller.
    ///
    /// # Errors
    ///
    /// The bytes have another layout.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError>;
}

/// A request's body.
pub trait Request: Message {
    /// What it asks for.
    const API: ApiKey;

    /// What answers it.
    type Response: Message;

    /// Whether the broker answers it. Only a Produce request without acks gets no answer; nobody must wait for one.
    fn expects_response(&self) -> bool {
        true
    }
}

/// What comes before a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API, see [`ApiKey::from_code`].
    pub api_key: i16,
    /// The version of the API that the body is in.
    pub api_version: i16,
    /// What the response will repeat.
    pub correlation_id: i32,
    /// Who asks, for the broker's logs, metrics and quotas. Kafka: `client.id`.
    pub client_id: Option<String>,
}

impl RequestHeader {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        w.nullable_string(self.client_id.as_deref())
    }

    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            api_key: r.i16()?,
            api_version: r.i16()?,
            correlation_id: r.i32()?,
            client_id: r.nullable_string()?,
        })
    }
}

/// Makes a whole frame of a request, its size included.
///
/// The client's id is never null, which brokers of 0.9 fail on.
///
/// # Errors
///
/// The request, or the client's id, cannot be written in this version.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Bytes, EncodeError> {
    writable::<R>(version)?;
    let mut w = Writer::frame();
    let header = RequestHeader {
        api_key: R::API.code(),
        api_version: version,
        correlation_id,
        client_id: Some(client_id.to_owned()),
    };
    header.encode(&mut w)?;
    request.encode(&mut w, version)?;
    w.finish_frame()
}

/// Makes a whole frame of a response, its size included.
///
/// # Errors
///
/// The response cannot be written in this version.
pub fn encode_response<R: Request>(
    response: &R::Response,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, EncodeError> {
    writable::<R>(version)?;
    let mut w = Writer::frame();
    w.i32(correlation_id);
    response.encode(&mut w, version)?;
    w.finish_frame()
}

/// Takes a request's frame, without its size, apart into header and body.
///
/// # Errors
///
/// The bytes are no request.
pub fn split_request(frame: Bytes) -> Result<(RequestHeader, Bytes), DecodeError> {
    let mut r = Reader::new(frame);
    let header = RequestHeader::decode(&mut r)?;
    Ok((header, r.into_rest()))
}

/// Takes a response's frame, without its size, apart into the correlation id and the body.
///
/// # Errors
///
/// The bytes are too few to be a response.
pub fn split_response(frame: Bytes) -> Result<(i32, Bytes), DecodeError> {
    let mut r = Reader::new(frame);
    let correlation_id = r.i32()?;
    Ok((correlation_id, r.into_rest()))
}

/// Reads a request's body, up to its last byte.
///
/// # Errors
///
/// The bytes have another layout, or are too many.
pub fn decode_request<R: Request>(body: Bytes, version: i16) -> Result<R, DecodeError> {
    readable::<R>(version)?;
    decode(body, version)
}

/// Reads the body of a request's response, up to its last byte.
///
/// # Errors
///
/// The bytes have another layout, or are too many.
pub fn decode_response<R: Request>(body: Bytes, version: i16) -> Result<R::Response, DecodeError> {
    readable::<R>(version)?;
    decode(body, version)
}

fn decode<M: Message>(body: Bytes, version: i16) -> Result<M, DecodeError> {
    let mut r = Reader::new(body);
    let message = M::decode(&mut r, version)?;
    r.finish()?;
    Ok(message)
}

fn writable<R: Request>(version: i16) -> Result<(), EncodeError> {
    let api = R::API;
    match api.supports(version) {
        true => Ok(()),
        false => Err(EncodeError::UnsupportedVersion { api, version }),
    }
}

fn readable<R: Request>(version: i16) -> Result<(), DecodeError> {
    let api = R::API;
    match api.supports(version) {
        true => Ok(()),
        false => Err(DecodeError::UnsupportedVersion { api, version }),
    }
}
