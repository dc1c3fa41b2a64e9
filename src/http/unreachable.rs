//! Why there is no connection to a service, and what to do about it: each cause has an advice of its own. Where the cause is on
//! this machine, starting the service would change nothing.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// Who was to be reached.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its name, for people.
    pub name: &'static str,
    /// What starts it.
    pub command: &'static str,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The machine is there, and nobody listens.
    Refused,
    /// Nothing came back.
    Silence,
    /// No way to that machine.
    NoHost,
    /// It was reached, and ended the connection.
    HungUp,
    /// All local ports for connections to there are used up.
    NoLocalPort,
    /// This process, or the whole system, has too many open files.
    TooManyFiles,
    /// No way out of this machine to that network.
    NoNetwork,
    /// This machine has no such addresses, as those of IPv6.
    NoSuchAddresses,
    /// The name has no address here.
    UnknownName,
    /// This machine does not allow it.
    Forbidden,
    /// This machine is out of memory for it.
    NoMemory,
    /// Something else: the error itself says what.
    Other,
}

impl Cause {
    /// The cause of what the system says.
    pub fn of(error: &io::Error) -> Self {
        // The standard library has no number and no stable kind for it.
        if error.to_string().starts_with("failed to lookup address information") {
            return Self::UnknownName;
        }
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE) => return Self::TooManyFiles,
            Some(Errno::ADDRNOTAVAIL | Errno::AGAIN | Errno::ADDRINUSE) => return Self::NoLocalPort,
            Some(Errno::AFNOSUPPORT) => return Self::NoSuchAddresses,
            Some(Errno::NOBUFS | Errno::NOMEM) => return Self::NoMemory,
            _ => {}
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Silence,
            ErrorKind::HostUnreachable => Self::NoHost,
            ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Self::NoNetwork,
            ErrorKind::PermissionDenied => Self::Forbidden,
            ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => Self::NoLocalPort,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::HungUp,
            _ => Self::Other,
        }
    }

    /// Whether it is on this machine, and so says nothing about the service.
    pub fn is_here(self) -> bool {
        match self {
            Self::Refused | Self::Silence | Self::NoHost | Self::HungUp | Self::Other => false,
            Self::NoLocalPort
            | Self::TooManyFiles
            | Self::NoNetwork
            | Self::NoSuchAddresses
            | Self::UnknownName
            | Self::Forbidden
            | Self::NoMemory => true,
        }
    }

    /// What to do; `other` says how to name another URL.
    pub fn advice(self, peer: Peer, other: &str) -> String {
        let Peer { name, command } = peer;
        match self {
            Self::Refused => format!("nobody listens there: start {name} ({command}), or name another with {other}"),
            Self::Silence => format!("no answer came: see that the address in {other} is right, that {name} is not stopped, and that no firewall drops what is sent"),
            Self::NoHost => format!("there is no way to that machine: see that the address in {other} is right and that the machine is up"),
            Self::HungUp => format!("it was reached and ended the connection: it may be starting or stopping, or not be {name}"),
            Self::NoLocalPort => "this machine has no free local port for one more connection: wait a minute until those of closed connections are free again, or widen net.ipv4.ip_local_port_range".to_owned(),
            Self::TooManyFiles => "too many files are open here: raise ulimit -n, or end what holds them open".to_owned(),
            Self::NoNetwork => format!("this machine has no way to that network: see its network, and the address in {other}"),
            Self::NoSuchAddresses => format!("this machine has no such addresses (IPv6 may be off): name one of another kind with {other}"),
            Self::UnknownName => format!("the name has no address here: correct {other}, or see the name service (DNS, /etc/hosts)"),
            Self::Forbidden => "this machine does not allow the connection: see its firewall, or what confines this process".to_owned(),
            Self::NoMemory => "this machine is out of memory for one more connection".to_owned(),
            Self::Other => format!("see that the address in {other} is right, and that {name} runs there ({command})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    use super::*;

    const SCHEDULER: Peer = Peer { name: "the scheduler", command: "sctec serve-all" };

    fn cause(errno: Errno) -> Cause {
        Cause::of(&io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    #[test]
    fn each_errno_of_a_connect_has_its_own_advice() {
        let cases = [
            (Errno::CONNREFUSED, Cause::Refused, "start the scheduler (sctec serve-all)"),
            (Errno::TIMEDOUT, Cause::Silence, "firewall"),
            (Errno::HOSTUNREACH, Cause::NoHost, "that machine"),
            (Errno::CONNRESET, Cause::HungUp, "ended the connection"),
            (Errno::ADDRNOTAVAIL, Cause::NoLocalPort, "ip_local_port_range"),
            (Errno::MFILE, Cause::TooManyFiles, "ulimit -n"),
            (Errno::NFILE, Cause::TooManyFiles, "ulimit -n"),
            (Errno::NETUNREACH, Cause::NoNetwork, "that network"),
            (Errno::NETDOWN, Cause::NoNetwork, "that network"),
            (Errno::AFNOSUPPORT, Cause::NoSuchAddresses, "IPv6"),
            (Errno::ACCESS, Cause::Forbidden, "does not allow"),
            (Errno::PERM, Cause::Forbidden, "does not allow"),
            (Errno::NOBUFS, Cause::NoMemory, "memory"),
        ];
        for (errno, expected, words) in cases {
            assert_eq!(cause(errno), expected, "{errno:?}");
            let advice = expected.advice(SCHEDULER, "--url");
            assert!(advice.contains(words), "{errno:?}: {advice}");
            // Only where nobody listens is it a matter of starting something.
            assert_eq!(advice.contains("start the"), expected == Cause::Refused, "{advice}");
        }
        assert!(cause(Errno::ADDRNOTAVAIL).is_here() && !cause(Errno::CONNREFUSED).is_here());
    }

    #[test]
    fn a_name_without_an_address_is_told_from_a_service_that_is_not_there() {
        let error = "no-such-name.invalid:1".to_socket_addrs().unwrap_err();
        assert_eq!(Cause::of(&error), Cause::UnknownName, "{error}");
    }
}
