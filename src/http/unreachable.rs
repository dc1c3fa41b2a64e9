//! Why a connection to a service failed, and what to do about it. Each cause has its own advice. If the cause is on this
//! machine, starting the service does not help.

use std::error::Error;
use std::io::{self, ErrorKind};

use rust_i18n::t;
use rustix::io::Errno;

use super::causes::in_words;
use super::tls::Fault;
use crate::language::translation;

/// The service that the connection was for.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The service's name, for people.
    pub name: &'static str,
    /// The command that starts the service.
    pub command: &'static str,
}

/// The cause of a failed connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The machine answered, but no process listens on the port.
    Refused,
    /// No answer came before the timeout.
    Silence,
    /// There is no route to the machine.
    NoHost,
    /// The service was reached, and then closed the connection.
    HungUp,
    /// All local ports for connections to this address are in use.
    NoLocalPort,
    /// This process, or the whole system, has too many open files.
    TooManyFiles,
    /// This machine has no route to the network.
    NoNetwork,
    /// This machine does not support this kind of address, for example IPv6.
    NoSuchAddresses,
    /// The host name cannot be resolved on this machine.
    UnknownName,
    /// This machine does not allow the connection.
    Forbidden,
    /// This machine has no memory for the connection.
    NoMemory,
    /// TLS failed.
    Tls(Fault),
    /// Another cause. The error's own text describes it.
    Other,
}

impl Cause {
    /// The cause of an error of the operating system.
    pub fn of(error: &io::Error) -> Self {
        // The standard library has no error number and no stable error kind for a failed name lookup.
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
        if let Some(fault) = Fault::of(error) {
            return Self::Tls(fault);
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

    /// Whether the cause is on this machine, so that the error says nothing about the service.
    pub fn is_here(&self) -> bool {
        match self {
            Self::Tls(fault) => fault.is_here(),
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

    /// Whether [`Cause::advice`] says all that is known. Otherwise the error's own text does.
    pub fn is_explained(&self) -> bool {
        match self {
            Self::Tls(fault) => fault.is_explained(),
            cause => *cause != Self::Other,
        }
    }

    /// The advice for the user. `other` is the option or variable that sets another URL.
    pub fn advice(&self, peer: Peer, other: &str) -> String {
        let Peer { name, command } = peer;
        let name = translation(name).unwrap_or(name.into());
        let advice = match self {
            Self::Refused => t!(
                "nothing listens at that address: start %{name} (%{command}), or name another with %{other}",
                name = name,
                command = command,
                other = other
            ),
            Self::Silence => t!(
                "no answer came: check that the address in %{other} is right, that %{name} is running, and that no firewall drops the packets",
                other = other,
                name = name
            ),
            Self::NoHost => t!(
                "there is no route to that machine: check that the address in %{other} is right and that the machine is up",
                other = other
            ),
            Self::HungUp => {
                t!("it closed the connection: it may be starting or stopping, or it is not %{name}", name = name)
            }
            Self::NoLocalPort => t!(
                "this machine has no free local port for one more connection: wait a minute until those of closed connections are free again, or widen net.ipv4.ip_local_port_range"
            ),
            Self::TooManyFiles => {
                t!("too many files are open: raise the limit (ulimit -n), or end the programs that hold them open")
            }
            Self::NoNetwork => t!(
                "this machine has no route to that network: check its network settings and the address in %{other}",
                other = other
            ),
            Self::NoSuchAddresses => t!(
                "this machine does not support that kind of address (IPv6 may be off): use another kind with %{other}",
                other = other
            ),
            Self::UnknownName => t!(
                "this machine finds no address for that name: correct %{other}, or check the name service (DNS, /etc/hosts)",
                other = other
            ),
            Self::Forbidden => t!(
                "this machine does not allow the connection: check its firewall, and the restrictions on this process"
            ),
            Self::NoMemory => t!("this machine is out of memory for one more connection"),
            Self::Tls(fault) => return fault.advice(other),
            Self::Other => t!(
                "check that the address in %{other} is right, and that %{name} runs there (%{command})",
                other = other,
                name = name,
                command = command
            ),
        };
        advice.into_owned()
    }
}

/// The causes of that type, `error` itself included.
pub fn causes<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a T> {
    std::iter::successors(Some(error), |&error| error.source()).filter_map(|error| error.downcast_ref())
}

/// Whether the cause is on this machine, so that the error says nothing about the service.
pub fn is_here(error: &(dyn Error + 'static)) -> bool {
    Fault::of(error).is_some_and(|fault| fault.is_here())
        || causes::<io::Error>(error).any(|error| Cause::of(error).is_here())
}

/// Why nothing answered, for the log. hyper's own words for the most common causes are no help.
pub fn logged(error: &(dyn Error + 'static)) -> String {
    if let Some(fault) = Fault::of(error).and_then(|fault| fault.logged()) {
        return fault;
    }
    if causes::<io::Error>(error).any(|error| Cause::of(error) == Cause::Refused) {
        return "nada escuta nesse endereço".to_owned();
    }
    in_words(error)
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
            (Errno::CONNRESET, Cause::HungUp, "closed the connection"),
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
            // Only for a refused connection is the advice to start the service.
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
