//! Who may still guess: the throttles of sign-in, setup and bearers, and the addresses that need not fear for a name.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::throttle::{Allowance, Throttle, neighbourhood};

const BY_ADDRESS: Allowance = Allowance { at_once: 20, each: Duration::from_secs(15) };
const BY_NAME: Allowance = Allowance { at_once: 10, each: Duration::from_secs(30) };
const SETUP: Allowance = Allowance { at_once: 10, each: Duration::from_secs(30) };
const BEARERS: Allowance = Allowance { at_once: 60, each: Duration::from_secs(1) };
/// Buckets of one throttle.
const ROOM: usize = 4096;
/// Names with addresses that have signed in as them.
const KNOWN: usize = 4096;

/// All throttles of a running vault; they begin empty.
#[derive(Debug)]
pub(crate) struct Guessing(Mutex<State>);

#[derive(Debug)]
struct State {
    by_address: Throttle<IpAddr>,
    by_name: Throttle<String>,
    setup: Throttle<IpAddr>,
    bearers: Throttle<IpAddr>,
    /// Who signed in, and from where: others' guesses at the name do not stop them.
    known: HashSet<(String, IpAddr)>,
}

impl Default for Guessing {
    fn default() -> Self {
        Self(Mutex::new(State {
            by_address: Throttle::new(BY_ADDRESS, ROOM),
            by_name: Throttle::new(BY_NAME, ROOM),
            setup: Throttle::new(SETUP, ROOM),
            bearers: Throttle::new(BEARERS, ROOM),
            known: HashSet::new(),
        }))
    }
}

impl Guessing {
    /// Charges an attempt to sign in, before its work.
    ///
    /// # Errors
    /// How long to wait when it is one too many.
    pub(crate) fn sign_in(&self, now: Instant, name: &str, address: IpAddr) -> Result<(), Duration> {
        let (mut state, address) = (self.state(), neighbourhood(address));
        state.by_address.charge(now, &address)?;
        if state.known.contains(&(name.to_owned(), address)) {
            return Ok(());
        }
        let charged = state.by_name.charge(now, &name.to_owned());
        if charged.is_err() {
            // One refusal must not use up the other allowance too.
            state.by_address.give_back(now, &address);
        }
        charged
    }

    /// The attempt was right: it costs nothing, and its address is known from now on.
    pub(crate) fn signed_in(&self, now: Instant, name: &str, address: IpAddr) {
        let (mut state, address) = (self.state(), neighbourhood(address));
        state.by_address.give_back(now, &address);
        let key = (name.to_owned(), address);
        if state.known.contains(&key) {
            return;
        }
        state.by_name.give_back(now, &key.0);
        if state.known.len() >= KNOWN {
            state.known.clear();
        }
        state.known.insert(key);
    }

    /// Charges an attempt at the setup code, before its work.
    ///
    /// # Errors
    /// How long to wait when it is one too many.
    pub(crate) fn setup(&self, now: Instant, address: IpAddr) -> Result<(), Duration> {
        self.state().setup.charge(now, &neighbourhood(address))
    }

    /// Charges a bearer that was nobody's. Right ones are never asked about.
    ///
    /// # Errors
    /// How long to wait when it is one too many.
    pub(crate) fn wrong_bearer(&self, now: Instant, address: IpAddr) -> Result<(), Duration> {
        self.state().bearers.charge(now, &neighbourhood(address))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn guesses_at_a_name_from_many_addresses_stop_but_its_owner_goes_on() {
        let (guessing, now) = (Guessing::default(), Instant::now());
        guessing.sign_in(now, "anna", address(1)).unwrap();
        guessing.signed_in(now, "anna", address(1));
        let passed = (2..200).filter(|last| guessing.sign_in(now, "anna", address(*last)).is_ok()).count();
        assert_eq!(passed, BY_NAME.at_once as usize);
        assert!(guessing.sign_in(now, "anna", address(1)).is_ok());
    }

    #[test]
    fn guesses_at_many_names_from_one_address_stop() {
        let (guessing, now) = (Guessing::default(), Instant::now());
        let passed =
            (0..200).filter(|n| guessing.sign_in(now, &format!("user-{n}"), address(1)).is_ok()).count();
        assert_eq!(passed, BY_ADDRESS.at_once as usize);
        assert!(guessing.sign_in(now, "user-1", address(2)).is_ok());
    }

    #[test]
    fn whoever_is_right_is_never_stopped() {
        let (guessing, now) = (Guessing::default(), Instant::now());
        for _ in 0..1000 {
            guessing.sign_in(now, "anna", address(1)).unwrap();
            guessing.signed_in(now, "anna", address(1));
        }
    }
}
