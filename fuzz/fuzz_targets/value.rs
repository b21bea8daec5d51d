//! Whatever bytes a payload has, decoding them ends in a value that survives a round trip, or in an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slither::fuzzing::value(data));
