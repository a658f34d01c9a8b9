//! What goes in comes out, in order, and no more than there is room for.

use super::*;
use crate::core::seq::Seq;

fn lost(first: u32, last: u32) -> SeqRange {
    SeqRange::new(Seq::new(first), Seq::new(last)).unwrap()
}

#[test]
fn payloads_gather_into_runs_and_losses_part_them() {
    let queue = DeliveryQueue::new(1000);
    assert!(queue.push(b"one"));
    assert!(queue.push(b"two"));
    queue.push_lost(lost(3, 5));
    queue.push_lost(lost(6, 9));
    assert!(queue.push(b"three"));
    queue.close(CloseReason::PeerShutdown);
    queue.close(CloseReason::PeerIdle);
    assert_eq!(queue.try_take(), Some(Some(Delivery::Data(Bytes::from_static(b"onetwo")))));
    assert_eq!(queue.lost_range(), None);
    assert_eq!(queue.try_take(), Some(Some(Delivery::Lost { packets: 7 })));
    assert_eq!(queue.lost_range(), Some(LostRange { first: 3, last: 9 }));
    assert_eq!(queue.try_take(), Some(Some(Delivery::Data(Bytes::from_static(b"three")))));
    assert_eq!(queue.try_take(), Some(Some(Delivery::Closed(CloseReason::PeerShutdown))));
    assert_eq!(queue.try_take(), Some(None));
    assert_eq!(queue.stats().lost_packets, 7);
}

#[test]
fn a_full_queue_says_so_and_has_room_again_when_it_is_read() {
    let queue = DeliveryQueue::new(10);
    assert!(queue.push(&[1; 8]));
    assert!(!queue.push(&[2; 3]));
    assert_eq!(queue.stats().queued_bytes, 8);
    queue.try_take().unwrap().unwrap();
    assert!(queue.push(&[2; 3]));
}

#[test]
fn room_shrinks_with_what_waits_but_never_to_nothing() {
    let queue = DeliveryQueue::new(200 * TS_PAYLOAD_BYTES);
    assert_eq!(queue.flush(|_| ()), 200);
    for _ in 0..50 {
        assert!(queue.push(&[1; TS_PAYLOAD_BYTES]));
    }
    assert_eq!(queue.flush(|_| ()), 150);
    for _ in 0..150 {
        assert!(queue.push(&[1; TS_PAYLOAD_BYTES]));
    }
    assert_eq!(queue.flush(|_| ()), LEAST_ROOM);
}

#[test]
fn an_empty_queue_holds_no_buffer() {
    let queue = DeliveryQueue::new(1 << 20);
    for _ in 0..100 {
        assert!(queue.push(&[1; 1316]));
    }
    while let Some(Some(_)) = queue.try_take() {}
    assert_eq!(queue.lock().tail.capacity(), 0);
    assert_eq!(queue.stats().queued_bytes, 0);
}

#[tokio::test]
async fn the_consumer_is_woken_once_for_all_that_came_together() {
    let queue = DeliveryQueue::new(1000);
    assert!(queue.push(b"one"));
    assert!(queue.push(b"two"));
    assert_eq!(queue.flush(|stats| stats.naks_sent = 3), LEAST_ROOM);
    assert_eq!(queue.take().await, Some(Delivery::Data(Bytes::from_static(b"onetwo"))));
    assert_eq!(queue.stats().naks_sent, 3);
}

#[test]
fn an_abandoned_queue_keeps_nothing() {
    let queue = DeliveryQueue::new(10);
    assert!(queue.push(&[1; 8]));
    queue.abandon();
    assert!(!queue.push(&[1; 1]));
    assert_eq!(queue.stats().queued_bytes, 0);
    assert_eq!(queue.try_take(), None);
}
