//! Ports for programs that need a fixed port.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Mutex;

/// Below the system's range for outgoing connections, which could take a chosen port before its
/// program listens.
const PORTS: Range<u16> = 15_000..30_000;

/// A free port on 127.0.0.1, reserved among all tests on this machine while the process lives. The
/// reservation is the otherwise unused UDP socket of the same number.
#[must_use]
pub fn free_port() -> u16 {
    static CLAIMS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let claimed = |port: &u16| {
        let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)) else {
            return false;
        };
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        if is_free {
            CLAIMS
                .lock()
                .expect("no test panics while it claims")
                .push(claim);
        }
        is_free
    };
    PORTS.into_iter().find(claimed).expect("a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once() {
        let [first, second] = [(); 2].map(|()| free_port());
        assert_ne!(first, second);
        assert!(
            TcpListener::bind((Ipv4Addr::LOCALHOST, second)).is_ok(),
            "{second}"
        );
    }
}
