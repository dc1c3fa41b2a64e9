//! Looks at the bytes of a text eight at a time. Nearly every text that is logged or answered has nothing to be escaped, and this finds it
//! out in a few operations.

/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHEST: u64 = ONES << 7;

/// Eight bytes.
#[derive(Clone, Copy)]
pub struct Eight(u64);

impl Eight {
    /// Whether all of them are ASCII.
    pub const fn is_ascii(self) -> bool {
        self.0 & HIGHEST == 0
    }

    /// Whether one of them is below `bound`, which is an ASCII character.
    pub const fn has_below(self, bound: u8) -> bool {
        // A byte that is below borrows its highest bit, which it does not have itself.
        self.0.wrapping_sub(ONES * bound as u64) & !self.0 & HIGHEST != 0
    }

    /// Whether one of them is this byte.
    pub const fn has(self, byte: u8) -> bool {
        Self(self.0 ^ (ONES * byte as u64)).has_below(1)
    }
}

/// Whether all bytes of a text are as they are wanted. Spaces, which are to be so too, fill the last eight.
pub fn all(text: &str, are_wanted: impl Fn(Eight) -> bool) -> bool {
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    let mut last = [b' '; 8];
    for (last, byte) in last.iter_mut().zip(rest) {
        *last = *byte;
    }
    eights.iter().chain([&last]).all(|eight| are_wanted(Eight(u64::from_ne_bytes(*eight))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_bytes_are_what_each_of_them_is(bytes in any::<[u8; 8]>(), bound in 0..=0x7f_u8, byte in any::<u8>(), at in 0..8_usize) {
            let mut with = bytes;
            with[at] = byte;
            for bytes in [bytes, with] {
                let eight = Eight(u64::from_ne_bytes(bytes));
                prop_assert_eq!(eight.is_ascii(), bytes.is_ascii());
                prop_assert_eq!(eight.has_below(bound), bytes.iter().any(|byte| *byte < bound));
                prop_assert_eq!(eight.has(byte), bytes.contains(&byte));
            }
        }

        #[test]
        fn no_byte_of_a_text_is_left_out(text in ".{0,40}") {
            prop_assert_eq!(all(&text, Eight::is_ascii), text.is_ascii());
        }
    }
}
