//! One direction of the link, on virtual time.

use super::{super::tally::Tally, *};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn lane(way: Way) -> (Lane<u32>, Instant) {
    let start = Instant::now();
    let mut lane = Lane::new(start, 7);
    lane.reshape(start, way, way.delay * 2);
    (lane, start)
}

/// Runs until nothing is left to happen; the arrivals with their times.
fn drain(lane: &mut Lane<u32>, start: Instant) -> Vec<(Duration, u32)> {
    let mut arrivals = Vec::new();
    while let Some(at) = lane.wakeup() {
        while let Some(item) = lane.poll(at) {
            arrivals.push((at - start, item));
        }
    }
    arrivals
}

fn balanced(udp: &Tally) -> bool {
    udp.offered.packets + udp.duplicated.packets
        == udp.delivered.packets + udp.lost.packets + udp.overflowed.packets + udp.cut.packets
}

#[test]
fn a_perfect_way_delivers_at_once_and_in_order() {
    let (mut lane, start) = lane(Way::PERFECT);
    for item in 0..100 {
        lane.offer_datagram(start, 1316, item);
    }
    let items: Vec<u32> = std::iter::from_fn(|| lane.poll(start)).collect();
    assert_eq!(items, (0..100).collect::<Vec<_>>());
    assert_eq!(lane.wakeup(), None);
}

#[test]
fn the_rate_spaces_packets_and_the_full_queue_drops_the_last() {
    let (mut lane, start) = lane(Way { rate: Some(100_000), queue_bytes: 10_000, ..Way::PERFECT });
    for item in 0..20 {
        lane.offer_datagram(start, 1000, item);
    }
    let arrivals = drain(&mut lane, start);
    assert_eq!(arrivals.len(), 10, "10 kB fit");
    for (place, (at, item)) in arrivals.iter().enumerate() {
        assert_eq!(*item as usize, place);
        let expected = 10 * MS * (u32::try_from(place).unwrap() + 1);
        assert!(at.abs_diff(expected) < MS, "{at:?} is not {expected:?}");
    }
    assert_eq!(lane.tally().udp.overflowed.packets, 10);
    assert!(balanced(&lane.tally().udp));
}

#[test]
fn a_new_rate_applies_to_what_is_still_queued() {
    let (mut lane, start) = lane(Way { rate: Some(1000), ..Way::PERFECT });
    lane.offer_datagram(start, 1000, 1);
    lane.reshape(start + SECOND / 2, Way { rate: Some(100_000), ..Way::PERFECT }, Duration::ZERO);
    let arrivals = drain(&mut lane, start);
    assert!(arrivals[0].0.abs_diff(505 * MS) < MS, "{arrivals:?}");
}

#[test]
fn loss_and_duplication_keep_their_shares_and_the_tally_balances() {
    let (mut lane, start) = lane(Way { loss: 0.05, duplicate: 0.02, ..Way::PERFECT });
    for item in 0..100_000 {
        let now = start + item * MS;
        lane.offer_datagram(now, 1316, item);
        while lane.poll(now).is_some() {}
    }
    drain(&mut lane, start);
    let udp = lane.tally().udp;
    assert!(udp.lost.packets.abs_diff(5000) < 400, "{udp:?}");
    assert!(udp.duplicated.packets.abs_diff(1900) < 300, "{udp:?}");
    assert!(balanced(&udp), "{udp:?}");
}

#[test]
fn jitter_alone_does_not_reorder_and_reordering_does() {
    let sent_every_ms = |way| {
        let (mut lane, start) = lane(way);
        (0..1000).for_each(|item| lane.offer_datagram(start + item * MS, 1316, item));
        let items: Vec<u32> = drain(&mut lane, start).into_iter().map(|(_, item)| item).collect();
        assert_eq!(items.len(), 1000);
        items.windows(2).filter(|pair| pair[1] < pair[0]).count()
    };
    let jitter = Way { delay: 40 * MS, jitter: 30 * MS, ..Way::PERFECT };
    assert_eq!(sent_every_ms(jitter), 0);
    let overtaken = sent_every_ms(Way { reorder: 0.1, ..Way::PERFECT });
    assert!((50..150).contains(&overtaken), "{overtaken}");
}

#[test]
fn an_outage_drops_datagrams_and_only_delays_streams() {
    let (mut lane, start) = lane(Way { delay: 50 * MS, ..Way::PERFECT });
    let flow = FlowId(1);
    lane.offer_datagram(start, 100, 1);
    lane.offer_stream(start, flow, 100, 2);
    lane.stop(start + 10 * MS);
    lane.offer_datagram(start + 20 * MS, 100, 3);
    assert_eq!((lane.stream_room(start + 20 * MS, flow), lane.wakeup()), (0, None));
    assert_eq!(lane.poll(start + SECOND), None);
    lane.resume(start + 2 * SECOND);
    let arrivals = drain(&mut lane, start);
    assert_eq!(arrivals.iter().map(|(_, item)| *item).collect::<Vec<_>>(), [2]);
    assert!((2 * SECOND..4 * SECOND).contains(&arrivals[0].0), "{arrivals:?}");
    assert_eq!(lane.tally().udp.cut.packets, 2);
    assert!(balanced(&lane.tally().udp));
}

#[test]
fn streams_keep_their_order_under_loss_jitter_and_outages() {
    let (mut lane, start) = lane(Way { loss: 0.3, jitter: 50 * MS, rate: Some(500_000), ..Way::PERFECT });
    let flow = FlowId(1);
    let mut now = start;
    let (mut sent, mut got) = (0, Vec::new());
    while got.len() < 500 {
        now += MS;
        if sent < 500 && lane.stream_room(now, flow) > 0 {
            lane.offer_stream(now, flow, 1000, sent);
            sent += 1;
        }
        match (now - start).as_millis() % 2000 {
            1000 => lane.stop(now),
            1500 => lane.resume(now),
            _ => {}
        }
        while let Some(item) = lane.poll(now) {
            lane.landed(flow, 1000);
            got.push(item);
        }
        assert!(now < start + 600 * SECOND, "{} of 500 arrived", got.len());
    }
    assert!(got.is_sorted());
    let tcp = lane.tally().tcp;
    assert_eq!((tcp.offered, tcp.cut.bytes), (tcp.delivered, 0));
    assert!(tcp.lost.packets > 50, "{tcp:?}");
}

/// Bytes a second that one stream gets through when its sender always has more.
fn throughput(way: Way) -> u64 {
    let (mut lane, start) = lane(way);
    let (flow, mut now) = (FlowId(1), start);
    while now < start + 20 * SECOND {
        loop {
            let room = lane.stream_room(now, flow);
            if room == 0 {
                break;
            }
            lane.offer_stream(now, flow, room, u32::try_from(room).unwrap());
        }
        while let Some(bytes) = lane.poll(now) {
            lane.landed(flow, u64::from(bytes));
        }
        now += MS;
    }
    lane.tally().tcp.delivered.bytes / 20
}

#[test]
fn a_stream_uses_the_whole_rate_and_loss_narrows_it_like_tcp() {
    let limited = throughput(Way { rate: Some(200_000), ..Way::PERFECT });
    assert!((196_000..=200_000).contains(&limited), "{limited}");
    let lossy = throughput(Way { loss: 0.05, delay: 20 * MS, ..Way::PERFECT });
    assert!((60_000..400_000).contains(&lossy), "{lossy}");
}

#[test]
fn streams_leave_half_of_the_queue_to_datagrams() {
    let (mut lane, start) = lane(Way { rate: Some(100_000), queue_bytes: 64_000, ..Way::PERFECT });
    for flow in 0..10 {
        loop {
            let room = lane.stream_room(start, FlowId(flow));
            if room == 0 {
                break;
            }
            lane.offer_stream(start, FlowId(flow), room, 0);
        }
    }
    (0..20).for_each(|item| lane.offer_datagram(start, 1316, item));
    assert_eq!(lane.tally().udp.overflowed.packets, 0);
}

#[test]
fn a_closed_flow_counts_what_it_had_on_its_way_as_cut() {
    let (mut lane, start) = lane(Way { delay: 50 * MS, rate: Some(100_000), ..Way::PERFECT });
    lane.offer_stream(start, FlowId(1), 1000, 1);
    lane.offer_stream(start, FlowId(2), 1000, 2);
    lane.close_flow(FlowId(1));
    assert_eq!(drain(&mut lane, start).iter().map(|(_, item)| *item).collect::<Vec<_>>(), [2]);
    assert_eq!(lane.tally().tcp.cut.bytes, 1000);
}

#[test]
fn the_same_seed_and_traffic_have_the_same_fate() {
    let fate = || {
        let way = Way { loss: 0.1, reorder: 0.1, duplicate: 0.1, jitter: 20 * MS, ..Way::PERFECT };
        let (mut lane, start) = lane(way);
        (0..500).for_each(|item| lane.offer_datagram(start + item * MS, 1316, item));
        drain(&mut lane, start)
    };
    assert_eq!(fate(), fate());
}
