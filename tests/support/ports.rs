//! Ports for servers that tests start.

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Not those that systems give to connections (32768 to 60999 on Linux, ip_local_port_range): one of these would be taken, now
/// and then, between the choice of a port and the start of its server.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// Where this process begins: others look for ports at the same time.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let chance = RandomState::new().hash_one("ports") % u64::from(COUNT);
    AtomicU16::new(u16::try_from(chance).unwrap_or(0))
});

/// A port of loopback that nobody listens at, another one each time.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
