//! How long it takes to protect and to open a request of 100 bytes.
//!
//! `cargo run --release -p suibi-oscore --example speed`

use std::{hint::black_box, time::Instant};

use suibi_coap::{Code, ContentFormat, Request};
use suibi_oscore::{Context, KeyId, OscoreOption, Parameters, Secret};

const ROUNDS: u32 = 1_000_000;

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn main() {
    let secret = Secret::from_bytes(&[7; 32]).expect("32 bytes");
    let [client, server] = [&b"phone"[..], b"s"].map(|id| KeyId::from_slice(id).expect("short"));
    let derive = |sender, recipient| {
        let (salt, id_context) = (&b""[..], Some(&b"R2R2R2R2R3R3R3R3"[..]));
        Context::derive(&Parameters { secret: &secret, salt, id_context, sender, recipient })
    };
    let (mut ours, mut theirs) = (derive(client, server), derive(server, client));
    let request = Request::new(Code::POST)
        .path("/notes")
        .content_format(ContentFormat::CBOR)
        .payload(vec![7; 100]);

    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(ours.protect_request(black_box(&request), true).expect("numbers are left"));
    }
    let protecting = start.elapsed();
    let mut ours = derive(client, server);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let (outer, _) = ours.protect_request(black_box(&request), true).expect("as before");
        let option = OscoreOption::of(&outer.options).expect("protected").expect("well formed");
        black_box(theirs.unprotect_request(&outer, &option).expect("the same keys"));
    }
    let both = start.elapsed();
    println!("protect:                {} ns", (protecting / ROUNDS).as_nanos());
    println!("protect and unprotect:  {} ns", (both / ROUNDS).as_nanos());
    println!("a context:              {} bytes", size_of::<Context>());
}
