//! The order in which packs give way.

use super::*;

/// `rear:3p*` is pack 3 of camera rear, pending, locked.
fn state(packs: &[&str]) -> State {
    let mut state = State::default();
    for text in packs {
        let (camera, rest) = text.split_once(':').unwrap();
        let folder = match rest.as_bytes()[1] {
            b'o' => Folder::Open,
            b'p' => Folder::Pending,
            _ => Folder::Stored,
        };
        let mut shelved = Shelved::new(folder, 100);
        shelved.locked = rest.ends_with('*');
        let shelf = state.cameras.entry(camera.parse().unwrap()).or_default();
        shelf.packs.insert(format!("20261122-101500_0000{}", &rest[..1]).parse().unwrap(), shelved);
    }
    state
}

fn planned(packs: &[&str], need: u64, on_full: OnFull) -> Vec<String> {
    let victims = plan(&state(packs), need, on_full, None);
    victims.iter().map(|victim| format!("{}:{}", victim.camera, victim.pack.number)).collect()
}

const PACKS: &[&str] = &[
    "front:1p",
    "front:2s",
    "front:3s*",
    "front:4p",
    "front:5s",
    "front:6o",
    "rear:1s",
    "rear:2p*",
    "rear:3p",
];

#[test]
fn receipted_packs_go_first_and_the_oldest_first() {
    assert_eq!(planned(PACKS, 150, OnFull::EvictUnsent), ["rear:1", "front:2"]);
    assert_eq!(planned(PACKS, 100, OnFull::StopRecording), ["rear:1"]);
}

#[test]
fn unsent_packs_go_only_where_recording_is_to_go_on() {
    assert_eq!(planned(PACKS, 350, OnFull::EvictUnsent), ["rear:1", "front:2", "front:1", "front:4"]);
    assert_eq!(planned(PACKS, 350, OnFull::StopRecording), ["rear:1", "front:2"]);
}

#[test]
fn locked_open_and_chain_ending_packs_never_go() {
    let all = planned(PACKS, u64::MAX, OnFull::EvictUnsent);
    assert_eq!(all, ["rear:1", "front:2", "front:1", "front:4"]);
}

#[test]
fn a_spared_pack_does_not_go() {
    let (camera, pack) = ("front".parse().unwrap(), "20261122-101500_00002".parse().unwrap());
    let victims = plan(&state(PACKS), 100, OnFull::StopRecording, Some((&camera, pack)));
    assert!(victims.iter().all(|victim| victim.camera != camera), "{victims:?}");
    assert!(plan(&state(PACKS), 0, OnFull::EvictUnsent, None).is_empty());
}
