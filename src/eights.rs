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
    /// Whether those of a text are all of characters of ASCII, or of the letters of U+00C0 to U+00FF and the two signs between these. The
    /// latter begin with the byte C3, and no other character does.
    pub const fn is_western(self) -> bool {
        let begins = self.0 & (self.0 << 1) & HIGHEST;
        let others = self.0 ^ (ONES * 0xc3);
        // Added to the seven lower bits, this leaves the highest one clear only where all of them are clear.
        let is_other = (((others & !HIGHEST) + !HIGHEST) | others) & HIGHEST;
        begins & is_other == 0
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

/// Whether all bytes of a text are as they are wanted. Some are looked at twice, and spaces, which are to be so too, fill up a text that has
/// no eight.
pub fn all(text: &str, are_wanted: impl Fn(Eight) -> bool) -> bool {
    let bytes = text.as_bytes();
    let last = bytes.last_chunk().copied().unwrap_or_else(|| {
        let mut few = [b' '; 8];
        few.iter_mut().zip(bytes).for_each(|(few, byte)| *few = *byte);
        few
    });
    let are_wanted = |eight| are_wanted(Eight(u64::from_ne_bytes(eight)));
    are_wanted(last) && bytes.as_chunks().0.iter().all(|eight| are_wanted(*eight))
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
                prop_assert_eq!(eight.is_western(), bytes.iter().all(|byte| *byte < 0xc0 || *byte == 0xc3));
                prop_assert_eq!(eight.has_below(bound), bytes.iter().any(|byte| *byte < bound));
                prop_assert_eq!(eight.has(byte), bytes.contains(&byte));
            }
        }

        #[test]
        fn no_byte_of_a_text_is_left_out(text in "[a-zÀ-ÿ]{0,20}.{0,2}[a-zÀ-ÿ]{0,20}") {
            let is_western = |c: char| c.is_ascii() || ('À'..='ÿ').contains(&c);
            prop_assert_eq!(all(&text, Eight::is_western), text.chars().all(is_western));
        }
    }
}
