//! libFuzzer's entry to the target `srt_key_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let target = dashvault_fuzz::TARGETS.iter().find(|target| target.name == "srt_key_message");
    (target.expect("the target is in the list").run)(input);
});
