//! The receiver on a clock that the test moves.

mod acknowledging;
mod asking;
mod cost;
mod holding;
mod model;
mod playing;

use super::*;

const LATENCY: Duration = Duration::from_secs(3);
const MS: Duration = Duration::from_millis(1);
/// The last sequence number.
const LAST: u32 = 0x7FFF_FFFF;

#[derive(Debug, PartialEq, Eq, Clone)]
enum Item {
    Packet(u32),
    /// First, last.
    Lost(u32, u32),
}

use Item::{Lost, Packet};

#[derive(Debug, Default)]
struct Record(Vec<Item>);

impl Sink for Record {
    fn data(&mut self, payload: &[u8]) {
        self.0.push(Packet(u32::from_be_bytes(payload.try_into().unwrap())));
    }

    fn lost(&mut self, range: SeqRange) {
        self.0.push(Lost(range.first.raw(), range.last.raw()));
    }
}

struct Bench {
    receiver: Receiver,
    record: Record,
    began: Instant,
    now: Instant,
}

impl Bench {
    fn new(start: u32, window_packets: u32) -> Self {
        Self::with(start, window_packets, DeliveryMode::Hold, LATENCY)
    }

    fn with(start: u32, window_packets: u32, mode: DeliveryMode, latency: Duration) -> Self {
        let began = Instant::now();
        let config = ReceiverConfig {
            start: Seq::new(start),
            mode,
            latency,
            ack_interval: 100 * MS,
            window_packets,
            began,
        };
        Self { receiver: Receiver::new(&config, began), record: Record::default(), began, now: began }
    }

    fn data(&mut self, seq: u32) -> Taken {
        self.packet(seq, false)
    }

    fn again(&mut self, seq: u32) -> Taken {
        self.packet(seq, true)
    }

    fn packet(&mut self, seq: u32, retransmitted: bool) -> Taken {
        let stamp = Stamp::of_micros(u64::try_from((self.now - self.began).as_micros()).unwrap());
        self.stamped(seq, stamp, retransmitted)
    }

    fn stamped(&mut self, seq: u32, stamp: Stamp, retransmitted: bool) -> Taken {
        let payload = seq.to_be_bytes();
        self.receiver.data(self.now, Seq::new(seq), stamp, retransmitted, &payload, &mut self.record)
    }

    fn drop_request(&mut self, first: u32, last: u32) {
        if let Some(range) = SeqRange::new(Seq::new(first), Seq::new(last)) {
            self.receiver.drop_request(self.now, range, &mut self.record);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.receiver.handle_timeout(self.now, &mut self.record);
    }

    fn taken(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.record.0)
    }

    fn ack(&mut self) -> Option<AckOut> {
        self.receiver.poll_ack(self.now)
    }

    /// Number and position of the full ACK that is due.
    fn full_ack(&mut self) -> Option<(u32, u32)> {
        match self.ack() {
            Some(AckOut::Full(ack)) => Some((ack.number, ack.ack.raw())),
            _ => None,
        }
    }

    /// The ranges asked for now.
    fn nak(&mut self) -> Vec<(u32, u32)> {
        let mut ranges = Vec::new();
        while self.receiver.poll_nak(self.now, &mut ranges) {}
        ranges.iter().map(|range| (range.first.raw(), range.last.raw())).collect()
    }

    /// A measured round trip.
    fn round_trip(&mut self, time: Duration) {
        for _ in 0..32 {
            let seq = self.receiver.window.head().raw();
            self.data(seq);
            self.now += 100 * MS;
            let (number, _) = self.full_ack().unwrap();
            self.now += time;
            self.receiver.ackack(self.now, number);
        }
        self.taken();
    }
}
