//! When this machine was started, for the monotonic times in manifests.
//!
//! Belongs here: the boot's id and the milliseconds since. Not here: wall time (`dashvault-base`).
//!
//! Where the system does not tell, an id by chance and the program's own start stand in: times of one run then still
//! compare with each other, and with no other run's.

use std::fs;
use std::time::Instant;

/// The boot that monotonic times count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    /// Names it.
    pub(crate) id: [u8; 16],
    base: Instant,
    base_ms: u64,
}

impl Boot {
    /// Asks the system.
    pub(crate) fn read() -> Self {
        let base = Instant::now();
        let id =
            fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().and_then(|text| parse_uuid(&text));
        let uptime = fs::read_to_string("/proc/uptime").ok().and_then(|text| parse_uptime_ms(&text));
        match (id, uptime) {
            (Some(id), Some(base_ms)) => Self { id, base, base_ms },
            _ => {
                let mut id = [0; 16];
                // Without randomness the id is zero, which says "unknown".
                let _ = getrandom::fill(&mut id);
                Self { id, base, base_ms: 0 }
            }
        }
    }

    /// Milliseconds from the boot to `at`.
    pub(crate) fn ms_at(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.base).as_millis();
        self.base_ms.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    let value = u128::from_str_radix(&digits, 16).ok()?;
    (digits.len() == 32).then(|| value.to_be_bytes())
}

fn parse_uptime_ms(text: &str) -> Option<u64> {
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1000 + hundredths.parse::<u64>().ok()? * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_texts_are_read() {
        assert_eq!(parse_uptime_ms("3661.25 7000.00\n"), Some(3_661_250));
        let id = parse_uuid("00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        assert_eq!((id[0], id[15]), (0x00, 0xff));
        assert_eq!(parse_uuid("x"), None);
    }

    #[test]
    fn time_since_boot_goes_on() {
        let boot = Boot::read();
        let now = Instant::now();
        assert_eq!(boot.ms_at(now + std::time::Duration::from_secs(2)), boot.ms_at(now) + 2000);
    }
}
