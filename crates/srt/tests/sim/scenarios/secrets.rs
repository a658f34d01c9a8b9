//! Encrypted streams, with keys that change under way.

use super::{both_ways, ms, prove, scenarios};
use crate::network::link::Path;
use crate::scenario::{Encryption, Rebind, Scenario};

fn encrypted(bits: u16, gcm: bool, refresh: Option<u32>, scenario: Scenario) -> Scenario {
    Scenario { encryption: Some(Encryption { bits, gcm, refresh }), ..scenario }
}

fn moved() -> Scenario {
    Scenario {
        rebinds: vec![Rebind { at: ms(4_000), known: false, only_port: false }],
        ..Scenario::lossy(0.05)
    }
}

scenarios! {
    aes_128_arrives_whole: encrypted(128, false, None, Scenario::plain());
    aes_192_with_refresh_arrives_whole: encrypted(192, false, Some(1_000), Scenario::plain());
    aes_256_with_refresh_arrives_whole: encrypted(256, false, Some(1_000), Scenario::plain());
    keys_change_under_loss: encrypted(128, false, Some(1_000), Scenario::lossy(0.15));
    keys_change_under_loss_both_ways: encrypted(256, false, Some(1_000), both_ways(Scenario::lossy(0.1)));
    keys_change_over_a_long_path: encrypted(128, false, Some(3_000), Scenario::over(Path::lossy(300, 0.1)));
    gcm_128_arrives_whole: encrypted(128, true, None, Scenario::plain());
    gcm_256_with_refresh_under_loss: encrypted(256, true, Some(1_000), both_ways(Scenario::lossy(0.1)));
    an_encrypted_stream_played_on_time: encrypted(128, false, Some(1_000), Scenario::plain()).tsbpd();
    an_encrypted_stream_moves: encrypted(128, false, Some(1_000), moved());
    a_gcm_stream_moves: encrypted(256, true, None, moved());
}
