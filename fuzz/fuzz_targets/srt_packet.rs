//! libFuzzer's entry to the target `srt_packet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let target = dashvault_fuzz::TARGETS.iter().find(|target| target.name == "srt_packet");
    (target.expect("the target is in the list").run)(input);
});
