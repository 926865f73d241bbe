//! One thing as text, JSON or CBOR, and the names of representations.

use std::fmt::Display;

use minicbor::Encoder;
use serde_json::{Value, json};
use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::{Hash, Note, tags};
use suibi_store::Reader;

use super::Ask;
use crate::problem::Problem;

/// What most resources offer; text goes without saying.
pub(super) const TEXT_JSON_CBOR: &[ContentFormat] =
    &[ContentFormat::TEXT_PLAIN, ContentFormat::JSON, ContentFormat::CBOR];

/// The thing in the format that is wanted, one of [`TEXT_JSON_CBOR`].
pub(super) fn in_format(
    format: ContentFormat,
    text: impl FnOnce() -> String,
    value: impl FnOnce() -> Value,
) -> Response {
    let payload = match format {
        ContentFormat::JSON => value().to_string().into_bytes(),
        ContentFormat::CBOR => cbor(&value()),
        _ => text().into_bytes(),
    };
    Response::new(Code::CONTENT).content_format(format).payload(payload)
}

/// Things with how many notes each has: lines, or a list `list` of objects that name the thing `name`.
pub(super) fn counts<T: Display>(
    format: ContentFormat,
    (list, name): (&str, &str),
    counts: &[(T, u64)],
) -> Response {
    let text = || counts.iter().map(|(thing, notes)| format!("{thing} {notes}\n")).collect();
    let value = || {
        let one = |(thing, notes): &(T, u64)| json!({ name: thing.to_string(), "notes": notes });
        json!({ "version": 1, list: counts.iter().map(one).collect::<Vec<_>>() })
    };
    in_format(format, text, value)
}

/// The same value in CBOR: maps with text keys, integers, and so on (RFC 8949 §6.2).
pub(super) fn cbor(value: &Value) -> Vec<u8> {
    fn write(to: &mut Encoder<Vec<u8>>, value: &Value) -> Result<(), Infallible> {
        match value {
            Value::Null => to.null()?,
            Value::Bool(bool) => to.bool(*bool)?,
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(unsigned), _) => to.u64(unsigned)?,
                (None, Some(signed)) => to.i64(signed)?,
                (None, None) => to.f64(number.as_f64().unwrap_or_default())?,
            },
            Value::String(text) => to.str(text)?,
            Value::Array(items) => {
                to.array(items.len() as u64)?;
                return items.iter().try_for_each(|item| write(to, item));
            }
            Value::Object(members) => {
                to.map(members.len() as u64)?;
                return members.iter().try_for_each(|(name, member)| {
                    to.str(name)?;
                    write(to, member)
                });
            }
        };
        Ok(())
    }
    type Infallible = minicbor::encode::Error<std::convert::Infallible>;
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder, value).expect("writing to memory does not fail");
    encoder.into_writer()
}

/// A note as JSON shows it; the shape is documented in `docs/protocol.md`.
pub(super) fn note(note: &Note) -> Value {
    let tags: Vec<_> = tags(&note.text).into_iter().map(|tag| tag.name).collect();
    let receipt = note
        .receipt
        .map(|(position, hash)| json!({ "position": position, "hash": hash.to_string() }));
    json!({
        "id": note.id.to_string(),
        "time": note.time.to_string(),
        "day": note.time.day().to_string(),
        "text": note.text,
        "tags": tags,
        "device": note.device,
        "source": note.source,
        "conflict": note.conflict,
        "undeleted": note.undeleted,
        "waiting": note.waiting,
        "receipt": receipt,
    })
}

/// The `ETag` of anything that follows from the whole feed: eight bytes of its running hash and the format.
///
/// Unlike a position it never repeats for another content, not even after a restored backup.
pub(super) fn feed_etag(
    ask: &Ask<'_>,
    reader: &mut dyn Reader,
    format: ContentFormat,
) -> Result<[u8; 8], Problem> {
    let head = reader.head(ask.caller.journal)?;
    let mut bytes = head.running.as_bytes().to_vec();
    bytes.extend(format.0.to_be_bytes());
    let mut etag = [0; 8];
    etag.copy_from_slice(&Hash::of(&bytes).as_bytes()[..8]);
    Ok(etag)
}

/// 2.03 if the asker has this representation, otherwise the one that `make` gives, with its `ETag`.
pub(super) fn unless_known(
    ask: &Ask<'_>,
    etag: &[u8],
    make: impl FnOnce() -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    if ask.request.etags().any(|known| **known == *etag) {
        return Ok(Response::new(Code::VALID).etag(etag));
    }
    Ok(make()?.etag(etag))
}
