//! A network, as `server.trusted_proxies` lists them.

use std::fmt;
use std::net::IpAddr;

use super::fault::Problem;

/// An IP address, or a network in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || {
            Problem::new(
                "holds something that is neither an IP address nor a network",
                "write each like 10.0.0.7, 10.0.0.0/24 or fd00::/8; names are not possible",
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        // Callers are compared in this form, so a mapped one would match nobody.
        if address.to_canonical() != address {
            return Err(Problem::new(
                "holds an IPv4 address in IPv6 clothes",
                "write the IPv4 address or network alone",
            ));
        }
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        if prefix == 0 {
            return Err(Problem::new(
                "trusts every address there is",
                "list the proxies alone: whoever is trusted can claim to be anybody",
            ));
        }
        let network = Self { address, prefix };
        if network.masked(address) != number(address) {
            return Err(Problem::new(
                "holds a network with bits set behind its prefix",
                "write the network's first address, such as 10.0.0.0/24",
            ));
        }
        Ok(network)
    }

    /// Whether an address, in its canonical form, lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && self.masked(address) == number(self.address)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let host_bits = u32::from(bits - self.prefix);
        number(address).checked_shr(host_bits).and_then(|kept| kept.checked_shl(host_bits)).unwrap_or(0)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.prefix) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => write!(f, "{}", self.address),
            _ => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_and_nobody_else() {
        let cases = [
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("128.0.0.0/1", "255.255.255.255", true),
            ("128.0.0.0/1", "127.255.255.255", false),
            ("::1", "::1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("8000::/1", "ffff::", true),
            ("10.0.0.0/24", "::a00:7", false),
            ("::/96", "10.0.0.7", false),
        ];
        for (network, address, inside) in cases {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
            assert_eq!(Network::parse(&network.to_string()).unwrap(), network);
        }
    }

    #[test]
    fn what_is_no_network_of_proxies() {
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.1/24",
            "10.0.0/24",
            "::/129",
            "0.0.0.0/0",
            "::/0",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
            "10.0.0.1:80",
            "*",
            "fd00::1/8",
            "/8",
        ] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
