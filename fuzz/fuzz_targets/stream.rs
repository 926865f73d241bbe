#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| suibi_coap::fuzz::stream(bytes));
