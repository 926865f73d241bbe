//! What is asked.

use bytes::Bytes;

use crate::{Code, ContentFormat, OptionNumber, Options, Response};

/// A whole request, free of the message that carries it.
///
/// ```
/// use suibi_coap::{Code, Request};
/// let request = Request::new(Code::GET).path("/notes").query("day", "2026-11-23");
/// assert_eq!(request.path_segments(), ["notes"]);
/// assert_eq!(request.queries(), [("day".to_owned(), "2026-11-23".to_owned())]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Code,
    /// Path, query, preconditions and so on; the block options belong to the endpoint.
    pub options: Options,
    /// The body, whole.
    pub payload: Bytes,
}

/// What a request says about observing (RFC 7641 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observe {
    /// Tell me when it changes.
    Register,
    /// Stop telling me.
    Deregister,
}

impl Request {
    /// A request of the root without body.
    pub const fn new(method: Code) -> Self {
        Self { method, options: Options::new(), payload: Bytes::new() }
    }

    /// Sets the path; slashes part its segments, and one at the start is optional.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.options.remove(OptionNumber::URI_PATH);
        let path = path.strip_prefix('/').unwrap_or(path);
        if !path.is_empty() {
            for segment in path.split('/') {
                self.options
                    .add(OptionNumber::URI_PATH, Bytes::copy_from_slice(segment.as_bytes()));
            }
        }
        self
    }

    /// Adds `name=value` to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.options.add(OptionNumber::URI_QUERY, format!("{name}={value}"));
        self
    }

    /// The format in which the answer is wanted.
    #[must_use]
    pub fn accept(mut self, format: ContentFormat) -> Self {
        self.options.set_uint(OptionNumber::ACCEPT, u32::from(format.0));
        self
    }

    /// The format of the payload.
    #[must_use]
    pub fn content_format(mut self, format: ContentFormat) -> Self {
        self.options.set_uint(OptionNumber::CONTENT_FORMAT, u32::from(format.0));
        self
    }

    /// Adds an ETag of which one must fit; an empty one fits everything that exists. At most 8 bytes.
    #[must_use]
    pub fn if_match(mut self, etag: &[u8]) -> Self {
        self.options.add(OptionNumber::IF_MATCH, Bytes::copy_from_slice(etag));
        self
    }

    /// Only if there is no such resource yet.
    #[must_use]
    pub fn if_none_match(mut self) -> Self {
        self.options.set(OptionNumber::IF_NONE_MATCH, Bytes::new());
        self
    }

    /// Adds the ETag of a representation that we have: 2.03 will do if it is still right. 1 to 8 bytes.
    #[must_use]
    pub fn etag(mut self, etag: &[u8]) -> Self {
        self.options.add(OptionNumber::ETAG, Bytes::copy_from_slice(etag));
        self
    }

    /// Registers as an observer (true), or says that we no longer are one (false).
    #[must_use]
    pub fn observe(mut self, register: bool) -> Self {
        self.options.set_uint(OptionNumber::OBSERVE, u32::from(!register));
        self
    }

    /// Gives back an Echo value that the server asked for (RFC 9175 §2.2.1); 1 to 40 bytes. The
    /// endpoint does so by itself for a 4.01 that carries one.
    #[must_use]
    pub fn echo(mut self, value: &[u8]) -> Self {
        self.options.set(OptionNumber::ECHO, Bytes::copy_from_slice(value));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self
    }

    /// The segments of the path; bytes that are not UTF-8 become U+FFFD.
    pub fn path_segments(&self) -> Vec<String> {
        self.options.get_all(OptionNumber::URI_PATH).map(|value| text(value)).collect()
    }

    /// The arguments of the query, parted at the first `=`; without one the value is empty.
    pub fn queries(&self) -> Vec<(String, String)> {
        let parts = self.options.get_all(OptionNumber::URI_QUERY).map(|value| text(value));
        parts
            .map(|part| match part.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => (part, String::new()),
            })
            .collect()
    }

    /// The first value of this query argument.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.queries().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// The format in which the answer is wanted, if the peer cares.
    pub fn accept_format(&self) -> Option<ContentFormat> {
        format_of(&self.options, OptionNumber::ACCEPT)
    }

    /// The format of the payload, if the peer says it.
    pub fn format(&self) -> Option<ContentFormat> {
        format_of(&self.options, OptionNumber::CONTENT_FORMAT)
    }

    /// The ETags of If-Match; `None` without the option, an empty one stands for "exists".
    pub fn if_match_etags(&self) -> Option<Vec<Bytes>> {
        let etags: Vec<_> = self.options.get_all(OptionNumber::IF_MATCH).cloned().collect();
        (!etags.is_empty()).then_some(etags)
    }

    /// Whether it is to be done only if there is no such resource yet.
    pub fn is_if_none_match(&self) -> bool {
        self.options.has(OptionNumber::IF_NONE_MATCH)
    }

    /// The ETags of the representations that the peer has.
    pub fn etags(&self) -> impl Iterator<Item = &Bytes> {
        self.options.get_all(OptionNumber::ETAG)
    }

    /// The Echo value that the client gives back.
    pub fn echo_value(&self) -> Option<&Bytes> {
        self.options.get(OptionNumber::ECHO)
    }

    /// Drops elective options that must be ignored.
    ///
    /// # Errors
    /// The response to a request that cannot be carried out whatever it is: a critical option is
    /// not understood, and named so that a person can take it away (RFC 7252 §5.4.1), or a proxy
    /// is wanted (§5.10.2).
    pub(crate) fn check(&mut self) -> Result<(), Response> {
        self.options.check().map_err(|number| {
            let text = match number.name() {
                Some(name) => format!("option {} ({name}) cannot be used like this", number.0),
                None => format!("option {} is not known here", number.0),
            };
            Response::diagnostic(Code::BAD_OPTION, text)
        })?;
        if self.options.has(OptionNumber::PROXY_URI) || self.options.has(OptionNumber::PROXY_SCHEME)
        {
            let text = "this is no proxy";
            return Err(Response::diagnostic(Code::PROXYING_NOT_SUPPORTED, text));
        }
        Ok(())
    }

    /// What the request says about observing; values beyond 0 and 1 say nothing.
    ///
    /// Only GET and FETCH can observe (RFC 7641 §2, RFC 8132 §2.4), so the option means nothing
    /// with other methods.
    pub fn observing(&self) -> Option<Observe> {
        match self.options.uint(OptionNumber::OBSERVE) {
            _ if !self.method.is_safe() => None,
            Some(0) => Some(Observe::Register),
            Some(1) => Some(Observe::Deregister),
            _ => None,
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn format_of(options: &Options, number: OptionNumber) -> Option<ContentFormat> {
    options.uint(number).and_then(|format| u16::try_from(format).ok()).map(ContentFormat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_no_segments() {
        assert!(Request::new(Code::GET).path("/").path_segments().is_empty());
        assert_eq!(Request::new(Code::GET).path("/a/b/").path_segments(), ["a", "b", ""]);
    }

    #[test]
    fn a_query_without_value_is_empty() {
        let mut request = Request::new(Code::GET).query("q", "a=b");
        request.options.add(OptionNumber::URI_QUERY, "flag");
        assert_eq!(request.query_value("q").as_deref(), Some("a=b"));
        assert_eq!(request.query_value("flag").as_deref(), Some(""));
        assert_eq!(request.query_value("none"), None);
    }

    #[test]
    fn observing_is_for_reading_only() {
        let read = Request::new(Code::GET).observe(true);
        assert_eq!(read.observing(), Some(Observe::Register));
        assert_eq!(read.observe(false).observing(), Some(Observe::Deregister));
        assert_eq!(Request::new(Code::POST).observe(true).observing(), None);
    }
}
