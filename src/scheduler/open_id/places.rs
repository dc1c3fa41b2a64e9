//! Places for people who wait for the provider: so many in all, and so many of one address, so that one address cannot keep others from
//! signing in. Pure.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::http::bounds::address::AddressKey;

/// There is no place now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The address that asks has all of its own.
    Own,
    /// All are taken.
    All,
}

/// The places.
#[derive(Debug)]
pub struct Places {
    all: usize,
    each: usize,
    /// How many places each address has. An address without a place is not in it, so it is never larger than `all`.
    ///
    /// A std mutex around a small map, held to take or to give back one place.
    taken: Mutex<HashMap<AddressKey, usize>>,
}

/// A place. It is given back when this is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    places: &'a Places,
    address: AddressKey,
}

impl Places {
    /// So many places in all, and so many for each address.
    pub fn new(all: usize, each: usize) -> Self {
        Self { all, each, taken: Mutex::default() }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take(&self, address: AddressKey) -> Result<Place<'_>, Full> {
        let mut taken = self.taken();
        if taken.get(&address).is_some_and(|own| *own >= self.each) {
            return Err(Full::Own);
        }
        if taken.values().sum::<usize>() >= self.all {
            return Err(Full::All);
        }
        *taken.entry(address).or_default() += 1;
        Ok(Place { places: self, address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<AddressKey, usize>> {
        // A panic cannot leave the map half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(peer: &str) -> AddressKey {
        AddressKey::of(peer.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_own_places_and_no_more() {
        let places = Places::new(5, 2);
        let one = [(); 2].map(|()| places.take(at("10.0.0.1:1")).unwrap());
        assert_eq!(places.take(at("10.0.0.1:2")).unwrap_err(), Full::Own);
        // A network of IPv6 is one address.
        let other = ["[2001:db8::1]:1", "[2001:db8::2]:1"].map(|peer| places.take(at(peer)).unwrap());
        assert_eq!(places.take(at("[2001:db8::3]:1")).unwrap_err(), Full::Own);
        let last = places.take(at("10.0.0.2:1")).unwrap();
        assert_eq!(places.take(at("10.0.0.3:1")).unwrap_err(), Full::All);
        drop(one);
        drop(places.take(at("10.0.0.1:1")).unwrap());
        drop((other, last));
        assert!(places.taken().is_empty(), "an address without a place is forgotten");
    }
}
