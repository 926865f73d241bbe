//! Body of the fuzz target; `cargo test` replays its corpus.

use bytes::{Bytes, BytesMut};
use suibi_coap::{Code, Message, OptionNumber, Request, Response, wire};

use crate::{
    Context, KeyId, Number, OscoreOption, Parameters, ProtectError, ReplayWindow, RequestId,
    Secret, UnprotectError,
    nonce::{Aad, PartialIv, nonce},
    protect::OUTER,
};

/// Number of the request that is answered here, as in Appendix C.7.
const NUMBER: u64 = 20;

/// What a plaintext turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plaintext {
    Request,
    Response,
    Neither,
}

/// Opens the bytes as a protected datagram, under the keys of RFC 8613 Appendix C.1; reads them as
/// an option value; and protects them as if they were a plaintext, to open that.
///
/// # Panics
/// If something that was opened comes out otherwise when it is protected again.
pub fn unprotect(bytes: &[u8]) {
    let _ = datagram(bytes);
    option(bytes);
    let _ = plaintext(bytes);
}

/// Client and server; the server has seen everything before [`NUMBER`].
fn contexts() -> (Context, Context) {
    let secret = *b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";
    let secret = Secret::from_bytes(&secret).expect("16 bytes");
    let [client, server] =
        [&b""[..], b"\x01"].map(|id| KeyId::from_slice(id).expect("at most 7 bytes"));
    let side = |sender, recipient| {
        let salt = b"\x9e\x7c\xa9\x22\x23\x78\x63\x40";
        let id_context = None;
        Context::derive(&Parameters { secret: &secret, salt, id_context, sender, recipient })
    };
    let (client, mut server) = (side(client, server), side(server, client));
    *server.window() = ReplayWindow::after(NUMBER - 1);
    (client, server)
}

/// `None`: no message, or none that is protected.
fn datagram(bytes: &[u8]) -> Option<Result<(), UnprotectError>> {
    let message = wire::decode(&Bytes::copy_from_slice(bytes)).ok()?;
    let option = match OscoreOption::of(&message.options)? {
        Ok(option) => option,
        Err(error) => return Some(Err(error)),
    };
    let Message { code, options, payload, .. } = message;
    let (client, mut server) = contexts();
    if code.is_request() {
        let outer = Request { method: code, options, payload };
        let verified = server.verify_request(&outer, &option);
        let (request, id) = match server.unprotect_request(&outer, &option) {
            Ok(opened) => opened,
            Err(error) => return Some(Err(error)),
        };
        assert_eq!(verified, Ok((request.clone(), id)));
        assert_eq!(server.unprotect_request(&outer, &option), Err(UnprotectError::Replayed));
        let (again, _) =
            client.with_next(id.piv).protect_request(&request, false).expect("it was once");
        assert_eq!(again.payload, outer.payload);
        assert_eq!(
            again.options.get(OptionNumber::OSCORE),
            outer.options.get(OptionNumber::OSCORE)
        );
    } else {
        let outer = Response { code, options, payload };
        let asked = RequestId { kid: client.sender(), piv: NUMBER };
        let (response, own) = match client.unprotect_response(&outer, asked, None) {
            Ok(opened) => opened,
            Err(error) => return Some(Err(error)),
        };
        let number = if own.is_some() { Number::Own } else { Number::OfRequest };
        let again = server
            .with_next(own.unwrap_or(0))
            .protect_response(&response, asked, number, None)
            .expect("it was once");
        assert_eq!(again.payload, outer.payload);
    }
    Some(Ok(()))
}

fn option(bytes: &[u8]) {
    if let Ok(option) = OscoreOption::decode(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(option.encode(), bytes);
    }
}

fn plaintext(bytes: &[u8]) -> Plaintext {
    let (client, mut server) = contexts();
    let kid = client.sender();
    let partial_iv = PartialIv::new(NUMBER).expect("below 2^40");
    let nonce = nonce(&client.common_iv, kid, partial_iv);
    let aad = Aad::new(kid, partial_iv);
    let option = OscoreOption { partial_iv: Some(NUMBER), kid: Some(kid), kid_context: None };
    let asked = RequestId { kid, piv: NUMBER };

    let mut text = BytesMut::from(bytes);
    client.encrypt(&nonce, &aad, &mut text);
    let outer = Request::new(Code::POST).payload(text);
    let as_request = server.unprotect_request(&outer, &option);

    let mut text = BytesMut::from(bytes);
    server.encrypt(&nonce, &aad, &mut text);
    let mut answer = Response::new(Code::CHANGED).payload(text);
    answer.options.add(OptionNumber::OSCORE, Bytes::new());
    let as_response = client.unprotect_response(&answer, asked, None);

    match (as_request, as_response) {
        (Ok((request, _)), Err(_)) => {
            // What belongs outside goes there.
            let is_inner = OUTER.iter().all(|&number| !request.options.has(number));
            match client.with_next(NUMBER).protect_request(&request, false) {
                Ok((again, _)) if is_inner => assert_eq!(again.payload, outer.payload),
                Ok(_) => {}
                Err(error) => assert_eq!(error, ProtectError::ProxyUri),
            }
            Plaintext::Request
        }
        (Err(_), Ok((response, _))) => {
            // The inner value of Observe is always empty in what we write.
            if !response.options.has(OptionNumber::OBSERVE) {
                let again = server.protect_response(&response, asked, Number::OfRequest, None);
                assert_eq!(again.expect("it was once").payload, answer.payload);
            }
            Plaintext::Response
        }
        (Err(request), Err(response)) => {
            assert_eq!([request, response], [UnprotectError::DecryptionFailed; 2]);
            Plaintext::Neither
        }
        (Ok(_), Ok(_)) => panic!("request and response at once: {bytes:02x?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use hex_literal::hex;
    use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_corpus_holds_no_surprise() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/unprotect");
        let mut datagrams = Vec::new();
        let mut plaintexts = Vec::new();
        for file in fs::read_dir(corpus).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            unprotect(&bytes);
            datagrams.extend(datagram(&bytes));
            plaintexts.push(plaintext(&bytes));
        }
        for result in [
            Ok(()),
            Err(UnprotectError::BadOption),
            Err(UnprotectError::UnknownContext),
            Err(UnprotectError::DecryptionFailed),
            Err(UnprotectError::Replayed),
        ] {
            assert!(datagrams.contains(&result), "{result:?} is in no file of the corpus");
        }
        for kind in [Plaintext::Request, Plaintext::Response, Plaintext::Neither] {
            assert!(plaintexts.contains(&kind), "{kind:?} is in no file of the corpus");
        }
    }

    #[test]
    fn mutated_datagrams_hold_no_surprise() {
        let protected = [
            &hex!("44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e")[..],
            &hex!("64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106"),
            &hex!("64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"),
        ];
        let mut rng = StdRng::seed_from_u64(8613);
        for _ in 0..100_000 {
            let original = protected[rng.random_range(0..protected.len())];
            let mut bytes = original.to_vec();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(4..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            if datagram(&bytes) == Some(Ok(())) {
                let [was, is] = [original, &bytes]
                    .map(|bytes| wire::decode(&Bytes::copy_from_slice(bytes)).unwrap());
                assert_eq!(is.payload, was.payload, "something else was opened");
                assert_eq!(
                    is.options.get(OptionNumber::OSCORE),
                    was.options.get(OptionNumber::OSCORE)
                );
            }
        }
    }

    #[test]
    fn rude_plaintexts_hold_no_surprise() {
        let mut rng = StdRng::seed_from_u64(5);
        let mut buf = [0; 40];
        let mut kinds = [0_u32; 3];
        for _ in 0..50_000 {
            let len = rng.random_range(0..=buf.len());
            let text = &mut buf[..len];
            rng.fill_bytes(text);
            if let Some(code) = text.first_mut() {
                *code &= 0x47;
            }
            if len > 2 {
                let at = rng.random_range(1..len);
                text[at] = [0xff, 0xd0, 0xe0, 0x0d, 0x0e, 0x11][rng.random_range(0..6)];
            }
            kinds[plaintext(text) as usize] += 1;
        }
        assert!(kinds.iter().all(|&kind| kind > 1000), "{kinds:?}");
    }
}
