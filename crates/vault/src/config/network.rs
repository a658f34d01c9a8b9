//! A range of addresses, as `10.0.0.0/8` or one address alone.

use std::{fmt, net::IpAddr, str::FromStr};

/// All addresses with the same first bits. An IPv4 address mapped into IPv6 is that IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is no address and no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address and no network, such as 127.0.0.1 or 10.0.0.0/8")]
pub struct NetworkError(String);

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, own_len) = number(self.address);
        let (other, other_len) = number(address.to_canonical());
        let rest = own_len.saturating_sub(self.bits);
        own_len == other_len
            && own.checked_shr(rest.into()).unwrap_or(0) == other.checked_shr(rest.into()).unwrap_or(0)
    }
}

/// The address as a number, and how many bits it has.
fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let refused = || NetworkError(text.chars().take(60).collect());
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse::<IpAddr>().map_err(|_| refused())?.to_canonical();
        let (_, len) = number(address);
        let bits = bits.map_or(Ok(len), str::parse).map_err(|_| refused())?;
        if bits > len { Err(refused()) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn networks_have_the_addresses_with_their_first_bits() {
        assert!(has("10.0.0.0/8", "10.255.1.2") && !has("10.0.0.0/8", "11.0.0.0"));
        assert!(has("127.0.0.1", "127.0.0.1") && !has("127.0.0.1", "127.0.0.2"));
        assert!(has("127.0.0.1", "::ffff:127.0.0.1") && !has("::/0", "127.0.0.1"));
        assert!(has("0.0.0.0/0", "1.2.3.4") && has("fd00::/8", "fd12::1") && has("::/0", "::1"));
        for odd in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "host"] {
            assert!(odd.parse::<Network>().is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_network_comes_back_from_its_text_and_has_its_own_address(address: IpAddr, bits in 0u8..=128) {
            let address = address.to_canonical();
            let network = Network { address, bits: bits.min(number(address).1) };
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            prop_assert!(network.contains(address));
        }
    }
}
