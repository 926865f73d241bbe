//! Large bodies in slices (RFC 7959).

use std::{
    collections::hash_map::DefaultHasher,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    time::Instant,
};

use bytes::Bytes;

use crate::{
    Code, Message, OptionNumber, Options, Request, RequestError, Response, Subject,
    bounded::Bounded,
};

/// The value of a Block1 or Block2 option (RFC 7959 §2.2).
///
/// ```text
///   |  NUM (0 to 20 bits)  | M |  SZX  |     size of a block: 2^(SZX + 4) bytes
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u32,
    pub(crate) more: bool,
    /// At most [`Block::LARGEST`].
    pub(crate) exponent: u8,
}

impl Block {
    /// 1,024 bytes, the largest block there is in a datagram.
    pub(crate) const LARGEST: u8 = 6;
    const MAX_NUMBER: u32 = (1 << 20) - 1;

    /// The first block, which says how large the others should be.
    pub(crate) const FIRST: Self = Self { number: 0, more: false, exponent: Self::LARGEST };

    /// The value of this option; `Err` if it is there and makes no sense.
    pub(crate) fn of(options: &Options, number: OptionNumber) -> Result<Option<Self>, BadBlock> {
        let Some(value) = options.get(number) else { return Ok(None) };
        let value = crate::option::decode_uint(value).ok_or(BadBlock)?;
        let exponent = (value & 0b111) as u8;
        if exponent > Self::LARGEST || value >> 4 > Self::MAX_NUMBER {
            return Err(BadBlock);
        }
        Ok(Some(Self { number: value >> 4, more: value & 0b1000 != 0, exponent }))
    }

    pub(crate) fn put(self, options: &mut Options, number: OptionNumber) {
        let value = self.number << 4 | u32::from(self.more) << 3 | u32::from(self.exponent);
        options.set_uint(number, value);
    }

    /// The length of every block but the last, in bytes.
    pub(crate) const fn size(self) -> usize {
        16 << self.exponent
    }

    /// Where in the body the block begins.
    pub(crate) const fn start(self) -> usize {
        self.number as usize * self.size()
    }

    /// The block of this size that begins at `start`, a multiple of the size.
    pub(crate) fn at(start: usize, exponent: u8) -> Self {
        Self { number: (start >> (exponent + 4)) as u32, more: false, exponent }
    }
}

/// A block option with a reserved size or a number beyond 20 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadBlock;

/// What a response must know of its request to be cut into slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slicing {
    /// The last block of the request, to be echoed.
    pub(crate) block1: Option<Block>,
    /// The block of the response that was asked for.
    pub(crate) block2: Option<Block>,
    /// What was asked for, without which block.
    pub(crate) cache_key: u64,
}

impl Slicing {
    /// Of an answer that is not cut.
    pub(crate) const NONE: Self = Self { block1: None, block2: None, cache_key: 0 };
}

/// The hash of who asks for what: requests for blocks of one body have the same.
///
/// The format of a body that was sent is left out: asking for the rest of a response, the body and
/// its format do not come again (RFC 7959 §3.3), save with FETCH.
///
/// Two requests of one peer would have to collide in 64 bits to get into each other's way, and
/// no peer can get into another's. Behind one address, which may be forged, there may be several
/// subjects: `keys` are random, so that nobody can make his request collide with another's. The
/// bodies that one of them sends at once differ by their Request-Tag (RFC 9175 §3).
pub(crate) fn cache_key(
    keys: &RandomState,
    request: &Request,
    block1: Option<Block>,
    subject: Option<Subject>,
) -> u64 {
    let mut hasher = keys.build_hasher();
    subject.hash(&mut hasher);
    request.method.byte().hash(&mut hasher);
    for (number, value) in request.options.iter() {
        let varies = matches!(
            number,
            OptionNumber::BLOCK1
                | OptionNumber::BLOCK2
                | OptionNumber::OBSERVE
                | OptionNumber::ETAG
        ) || number == OptionNumber::CONTENT_FORMAT && request.method != Code::FETCH;
        if !varies && !number.is_no_cache_key() {
            number.0.hash(&mut hasher);
            value.hash(&mut hasher);
        }
    }
    // A FETCH asks by its payload (RFC 8132 §2.1); sent in blocks, it does not come again.
    if request.method == Code::FETCH && block1.is_none() {
        request.payload.hash(&mut hasher);
    }
    hasher.finish()
}

/// Cuts out the block that was asked for; the rest has to be kept if the block says `more`.
///
/// A body that is cut gets an ETag if it has none, so that its pieces are known to belong
/// together even when the handler is asked for each of them anew.
pub(crate) fn slice(whole: &mut Response, slicing: &Slicing) -> (Response, bool) {
    let mut block = slicing.block2.unwrap_or(Block::FIRST);
    block.more = false;
    let len = whole.payload.len();
    let mut piece = if block.number == 0 && len <= block.size() {
        if slicing.block2.is_none() || len == 0 {
            return (echo(whole.clone(), slicing), false);
        }
        whole.clone()
    } else if block.start() >= len {
        Response::diagnostic(Code::BAD_REQUEST, "there is no such block")
    } else {
        if whole.etag_value().is_none() {
            let mut hasher = DefaultHasher::new();
            whole.payload.hash(&mut hasher);
            *whole = whole.clone().etag(&hasher.finish().to_be_bytes());
        }
        let end = len.min(block.start() + block.size());
        block.more = end < len;
        let mut piece = whole.clone();
        piece.payload = whole.payload.slice(block.start()..end);
        if block.number == 0 {
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            piece.options.set_uint(OptionNumber::SIZE2, len);
        }
        piece
    };
    if piece.code != Code::BAD_REQUEST {
        block.put(&mut piece.options, OptionNumber::BLOCK2);
    }
    (echo(piece, slicing), block.more)
}

/// Puts the block of the request that is answered into the answer.
pub(crate) fn echo(mut response: Response, slicing: &Slicing) -> Response {
    if let Some(block1) = slicing.block1 {
        block1.put(&mut response.options, OptionNumber::BLOCK1);
    }
    response
}

/// A body of ours on its way to a server.
#[derive(Debug)]
pub(crate) struct Upload {
    start: usize,
    exponent: u8,
    restarts: u32,
}

/// What to do after the answer to a block of an upload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UploadStep {
    /// Send the next block, or the first one once more.
    Send,
    /// This was the answer to the whole.
    Done,
}

impl Upload {
    pub(crate) const MAX_RESTARTS: u32 = 3;

    /// In blocks of this size (see [`Block`]).
    pub(crate) const fn new(exponent: u8) -> Self {
        Self { start: 0, exponent, restarts: 0 }
    }

    /// The present block of the request.
    pub(crate) fn put(&self, request: &Request, message: &mut Message) {
        let len = request.payload.len();
        let mut block = Block::at(self.start, self.exponent);
        let end = len.min(self.start + block.size());
        block.more = end < len;
        block.put(&mut message.options, OptionNumber::BLOCK1);
        if self.start == 0 {
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            message.options.set_uint(OptionNumber::SIZE1, len);
        }
        message.payload = request.payload.slice(self.start..end);
    }

    /// Learns from the answer to the present block.
    pub(crate) fn on_response(&mut self, len: usize, code: Code, options: &Options) -> UploadStep {
        let Ok(block) = Block::of(options, OptionNumber::BLOCK1) else { return UploadStep::Done };
        match (code, block) {
            (Code::CONTINUE, Some(block)) => {
                // The server took the block as it was, but may want smaller ones from here on
                // (§2.3): the next start is a multiple of both sizes.
                let next = self.start + Block::at(self.start, self.exponent).size();
                if next >= len {
                    return UploadStep::Done;
                }
                self.start = next;
                self.exponent = self.exponent.min(block.exponent);
                UploadStep::Send
            }
            (Code::REQUEST_ENTITY_TOO_LARGE, Some(block)) if block.exponent < self.exponent => {
                self.exponent = block.exponent;
                self.restart()
            }
            (Code::REQUEST_ENTITY_INCOMPLETE, _) => self.restart(),
            _ => UploadStep::Done,
        }
    }

    fn restart(&mut self) -> UploadStep {
        self.start = 0;
        self.restarts += 1;
        if self.restarts > Self::MAX_RESTARTS { UploadStep::Done } else { UploadStep::Send }
    }
}

/// A body on its way to us.
#[derive(Debug)]
pub(crate) struct Download {
    head: Response,
    body: Vec<u8>,
    exponent: u8,
    restarts: u32,
}

/// What to do after a block of a download.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DownloadStep {
    /// Ask for this block.
    Ask(Block),
    /// Here is the whole.
    Done(Response),
}

impl Download {
    const MAX_RESTARTS: u32 = 3;

    /// Begins with the first block of a response, or is done at once.
    ///
    /// # Errors
    /// [`RequestError::BadResponse`] or [`RequestError::TooLarge`], for good.
    pub(crate) fn begin(
        response: Response,
        max_body: usize,
    ) -> Result<(Option<Self>, DownloadStep), RequestError> {
        let mut download = Self { head: response, body: Vec::new(), exponent: 0, restarts: 0 };
        let first = std::mem::replace(&mut download.head, Response::new(Code::EMPTY));
        let step = download.restart_with(first, max_body)?;
        Ok((matches!(step, DownloadStep::Ask(_)).then_some(download), step))
    }

    /// Goes on with the answer to what [`DownloadStep::Ask`] asked for.
    ///
    /// # Errors
    /// [`RequestError::BadResponse`] or [`RequestError::TooLarge`], for good.
    pub(crate) fn go_on(
        &mut self,
        response: Response,
        max_body: usize,
    ) -> Result<DownloadStep, RequestError> {
        let Some(block) = Block::of(&response.options, OptionNumber::BLOCK2)
            .map_err(|_| RequestError::BadResponse)?
        else {
            // An error, or a server that sends everything at once after all.
            return Ok(DownloadStep::Done(response));
        };
        if block.number == 0 {
            // Asked for or not: a server that sends it for ever must not keep us for ever.
            if self.is_restarted_too_often() {
                return Err(RequestError::BadResponse);
            }
            return self.restart_with(response, max_body);
        }
        if response.etag_value() != self.head.etag_value() || response.code != self.head.code {
            // It changed while we read it (§2.4): the pieces do not belong together.
            if self.is_restarted_too_often() {
                return Err(RequestError::BadResponse);
            }
            return Ok(DownloadStep::Ask(Block::at(0, self.exponent)));
        }
        if block.start() != self.body.len() {
            return Err(RequestError::BadResponse);
        }
        self.take(block, &response.payload, max_body)
    }

    /// Counts the pieces that belonged to another beginning, and the beginnings.
    fn is_restarted_too_often(&mut self) -> bool {
        self.restarts += 1;
        self.restarts > 2 * Self::MAX_RESTARTS
    }

    fn restart_with(
        &mut self,
        response: Response,
        max_body: usize,
    ) -> Result<DownloadStep, RequestError> {
        let block = Block::of(&response.options, OptionNumber::BLOCK2)
            .map_err(|_| RequestError::BadResponse)?;
        let Some(block) = block.filter(|block| block.more) else {
            return Ok(DownloadStep::Done(response));
        };
        if block.number != 0 {
            return Err(RequestError::BadResponse);
        }
        self.body.clear();
        self.exponent = block.exponent;
        let payload = response.payload.clone();
        self.head = response;
        self.take(block, &payload, max_body)
    }

    fn take(
        &mut self,
        block: Block,
        payload: &[u8],
        max_body: usize,
    ) -> Result<DownloadStep, RequestError> {
        if block.more && payload.len() != block.size() || payload.len() > block.size() {
            return Err(RequestError::BadResponse);
        }
        if self.body.len() + payload.len() > max_body {
            return Err(RequestError::TooLarge);
        }
        self.body.extend_from_slice(payload);
        self.exponent = self.exponent.min(block.exponent);
        if block.more {
            return Ok(DownloadStep::Ask(Block::at(self.body.len(), self.exponent)));
        }
        let mut whole = std::mem::replace(&mut self.head, Response::new(Code::EMPTY));
        whole.payload = Bytes::from(std::mem::take(&mut self.body));
        Ok(DownloadStep::Done(whole))
    }
}

impl Bounded<Vec<u8>> {
    /// Adds a block to a body that comes in several (RFC 7959 §2.5). With the last one, the request
    /// gets the body and loses what was said about blocks.
    ///
    /// # Errors
    /// The answer to the block, if this was not the last one or it is refused.
    pub(crate) fn take_block(
        &mut self,
        now: Instant,
        key: crate::bounded::Key,
        block: Block,
        request: &mut Request,
        max_body: usize,
    ) -> Result<(), Response> {
        let mut body = self.remove(key).unwrap_or_default();
        if block.number == 0 {
            body.clear();
            let announced = request.options.uint(OptionNumber::SIZE1).unwrap_or(0);
            if announced as usize > max_body {
                return Err(too_large(max_body));
            }
        }
        append(&mut body, block, &request.payload, max_body)?;
        if block.more {
            let bytes = body.capacity();
            self.insert(now, key, body, bytes);
            return Err(Response::new(Code::CONTINUE));
        }
        request.payload = body.into();
        for about_blocks in [OptionNumber::BLOCK1, OptionNumber::SIZE1, OptionNumber::REQUEST_TAG] {
            request.options.remove(about_blocks);
        }
        Ok(())
    }
}

/// Why a block of a request is not taken, as a response.
pub(crate) fn refuse(code: Code, text: &str) -> Response {
    Response::diagnostic(code, text)
}

/// A body on its way to our handler: appends a block.
///
/// # Errors
/// The response that refuses the block; the body is then to be dropped.
pub(crate) fn append(
    body: &mut Vec<u8>,
    block: Block,
    payload: &[u8],
    max_body: usize,
) -> Result<(), Response> {
    if block.more && payload.len() != block.size() || payload.len() > block.size() {
        return Err(refuse(Code::BAD_REQUEST, "the block has another length than it says"));
    }
    if block.start() != body.len() {
        return Err(refuse(Code::REQUEST_ENTITY_INCOMPLETE, "blocks are missing, begin again"));
    }
    if body.len() + payload.len() > max_body {
        return Err(too_large(max_body));
    }
    body.extend_from_slice(payload);
    Ok(())
}

/// Too large, and what is not (RFC 7959 §2.9.3, §4).
pub(crate) fn too_large(max_body: usize) -> Response {
    let mut response = Response::diagnostic(
        Code::REQUEST_ENTITY_TOO_LARGE,
        format!("at most {max_body} bytes are taken"),
    );
    let max = u32::try_from(max_body).unwrap_or(u32::MAX);
    response.options.set_uint(OptionNumber::SIZE1, max);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_and_the_endpoint_make_other_keys_of_the_same_question() {
        let request = Request::new(Code::GET).path("/notes");
        let [ours, theirs] = [RandomState::new(), RandomState::new()];
        let key = |keys, subject| cache_key(keys, &request, None, subject);
        let [one, other] = [1, 2].map(|number| Some(Subject(number)));
        assert_eq!(key(&ours, one), key(&ours, one));
        assert!(key(&ours, one) != key(&ours, other) && key(&ours, one) != key(&ours, None));
        assert_ne!(key(&ours, one), key(&theirs, one), "nobody can compute it");
    }
}
