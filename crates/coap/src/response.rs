//! What is answered.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    Code, ContentFormat, OptionNumber, Options,
    request::{format_of, text},
};

/// A whole response, free of the message that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// How it went.
    pub code: Code,
    /// ETag, Max-Age, Location-Path and so on; the block options belong to the endpoint.
    pub options: Options,
    /// The body, whole.
    pub payload: Bytes,
}

impl Response {
    /// A response without body.
    pub const fn new(code: Code) -> Self {
        Self { code, options: Options::new(), payload: Bytes::new() }
    }

    /// A response whose body is a sentence for a person (RFC 7252 §5.5.2).
    pub fn diagnostic(code: Code, text: impl Into<String>) -> Self {
        Self::new(code).payload(text.into())
    }

    /// The format of the payload.
    #[must_use]
    pub fn content_format(mut self, format: ContentFormat) -> Self {
        self.options.set_uint(OptionNumber::CONTENT_FORMAT, u32::from(format.0));
        self
    }

    /// Names this representation; 1 to 8 bytes.
    #[must_use]
    pub fn etag(mut self, etag: &[u8]) -> Self {
        self.options.set(OptionNumber::ETAG, Bytes::copy_from_slice(etag));
        self
    }

    /// How long the answer stays fresh, or with 5.03 how long to wait; whole seconds.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        self.options.set_uint(OptionNumber::MAX_AGE, seconds);
        self
    }

    /// Asks the client to give this value back in its next request (RFC 9175 §2.2.1); 1 to 40
    /// bytes. With 4.01 the client asks again at once.
    #[must_use]
    pub fn echo(mut self, value: &[u8]) -> Self {
        self.options.set(OptionNumber::ECHO, Bytes::copy_from_slice(value));
        self
    }

    /// The path of what was created.
    #[must_use]
    pub fn location_path(mut self, segments: &[&str]) -> Self {
        self.options.remove(OptionNumber::LOCATION_PATH);
        for segment in segments {
            let segment = Bytes::copy_from_slice(segment.as_bytes());
            self.options.add(OptionNumber::LOCATION_PATH, segment);
        }
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self
    }

    /// The format of the payload, if the peer says it.
    pub fn format(&self) -> Option<ContentFormat> {
        format_of(&self.options, OptionNumber::CONTENT_FORMAT)
    }

    /// The name of this representation.
    pub fn etag_value(&self) -> Option<&Bytes> {
        self.options.get(OptionNumber::ETAG)
    }

    /// How long the answer stays fresh, or with 5.03 how long to wait, if the peer says it.
    pub fn max_age_value(&self) -> Option<Duration> {
        self.options.uint(OptionNumber::MAX_AGE).map(|age| Duration::from_secs(u64::from(age)))
    }

    /// The Echo value that the server asks to be given back.
    pub fn echo_value(&self) -> Option<&Bytes> {
        self.options.get(OptionNumber::ECHO)
    }

    /// The segments of the path of what was created.
    pub fn location_segments(&self) -> Vec<String> {
        self.options.get_all(OptionNumber::LOCATION_PATH).map(|value| text(value)).collect()
    }

    /// The payload as text, for diagnostics; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        text(&self.payload)
    }
}
