//! Whatever bytes a worker sends, reading frames ends in a frame or in an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slither::fuzzing::frame(data));
