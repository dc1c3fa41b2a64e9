//! The shortest round trip that the kernel has measured on a connection: `tcpi_min_rtt` of `TCP_INFO` (tcp(7)).
//!
//! The kernel measures from the instant at which it sends something until that is acknowledged: from the handshake on, and for five minutes. The
//! client's kernel acknowledges, and not its program; so a client that waits before it answers is seen as near as it is. It is the round trip to
//! the other end of the connection: to a proxy, if there is one.

use std::mem::offset_of;
use std::os::fd::AsFd;

// The macro names it.
use nix::libc;
use nix::sys::socket::GetSockOpt;
use nix::sys::socket::sockopt::GetStruct;

/// Where the number is in the kernel's record.
const AT: usize = offset_of!(libc::tcp_info, tcpi_min_rtt);
/// So many bytes of the record are asked for. Linux has as many since 4.6; the fields after them came later.
const BYTES: usize = AT + size_of::<u32>();

/// The beginning of the kernel's record of a connection.
#[derive(Clone, Copy)]
struct Info;

nix::getsockopt_impl!(Info, libc::IPPROTO_TCP, libc::TCP_INFO, [u8; BYTES], GetStruct<[u8; BYTES]>);

/// The shortest round trip of a connection, in microseconds; `None` if nothing was measured yet, or the kernel does not say.
pub(super) fn least_us(socket: &impl AsFd) -> Option<u32> {
    let info = Info.get(socket).ok()?;
    let micros = info.last_chunk().map(|bytes| u32::from_ne_bytes(*bytes))?;
    // The kernel's largest number says that it has measured nothing; 0 is what a kernel says that does not count.
    (micros != 0 && micros != u32::MAX).then_some(micros)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn the_kernel_has_measured_a_connection_and_measures_nothing_without_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut served, _) = listener.accept().unwrap();
        served.write_all(b"a").unwrap();
        client.read_exact(&mut [0]).unwrap();
        client.write_all(b"b").unwrap();
        served.read_exact(&mut [0]).unwrap();
        // The answer has acknowledged what was sent. It took no longer than this test.
        let micros = least_us(&served).expect("it is measured");
        assert!(micros < 60_000_000, "{micros}");
        assert_eq!(least_us(&listener), None);
        assert_eq!(least_us(&UdpSocket::bind("127.0.0.1:0").unwrap()), None, "that is no TCP");
    }
}
