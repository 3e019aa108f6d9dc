#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzzing::reply_head(&gateway_fuzz::DOOR, bytes));
