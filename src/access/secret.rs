//! The secret that a coordinator and its schedulers share, and how the coordinator proves that it has it. Pure, but for randomness.
//!
//! A scheduler that opens a connection sends a [`Nonce`] and nothing else. The answer is an HMAC-SHA256 with the secret over that
//! nonce and the identity of the coordinator's process. Only then does the scheduler send requests, with the secret as a bearer
//! token: a program that has bound the port of a coordinator that died gets nothing from it.
//!
//! - **Replay**: a nonce is 32 random bytes and is used once, so a recorded proof is no answer to another one.
//! - **Reflection**: only a coordinator makes proofs. A scheduler answers no challenge, so nobody can have it make one.
//! - **Other uses of the secret**: the message begins with a text that no other use has.
//! - **Relay** is not prevented: a program between the two can pass a nonce on to the true coordinator while that runs. TLS prevents it.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::token::{Digest, Token};

/// What the message of every proof begins with. Its parts after that have a fixed length.
const DOMAIN: &[u8] = b"sctec: prova do coordenador, 1\0";
/// The bytes of a nonce.
pub const NONCE_BYTES: usize = 32;
/// The bytes of the identity of a process.
pub const PROCESS_BYTES: usize = 16;
/// The bytes of a proof.
pub const PROOF_BYTES: usize = 32;

/// A question that is asked once.
pub type Nonce = [u8; NONCE_BYTES];
/// Which process of a coordinator answers: random, and another one after each start.
pub type ProcessId = [u8; PROCESS_BYTES];

/// The shared secret. It has the form of a token, and no log and no error shows it.
#[derive(Clone)]
pub struct Secret {
    token: Token,
    digest: Digest,
}

impl Secret {
    /// The secret that is this token.
    pub fn new(token: Token) -> Self {
        let digest = token.digest();
        Self { token, digest }
    }

    /// A new one.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        Token::random().map(Self::new)
    }

    /// The secret itself, to be sent to who has proved to have it.
    pub fn expose(&self) -> &str {
        self.token.expose()
    }

    /// Whether a caller presents it. Its digest is compared, of which a caller cannot choose a part, so the time that this takes
    /// tells nothing of the secret.
    pub fn is(&self, presented: &str) -> bool {
        Digest::of(presented) == self.digest
    }

    /// The proof that the process `process` answers to `nonce`.
    pub fn prove(&self, nonce: &Nonce, process: &ProcessId) -> [u8; PROOF_BYTES] {
        self.mac(nonce, process).finalize().into_bytes().into()
    }

    /// Whether `proof` is that. The time that it takes does not tell at which byte the two differ.
    pub fn confirms(&self, nonce: &Nonce, process: &ProcessId, proof: &[u8; PROOF_BYTES]) -> bool {
        self.mac(nonce, process).verify_slice(proof).is_ok()
    }

    fn mac(&self, nonce: &Nonce, process: &ProcessId) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.token.expose().as_bytes());
        let mut mac = mac.expect("HMAC takes a key of any length");
        for part in [DOMAIN, nonce, process] {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROCESS: ProcessId = [7; PROCESS_BYTES];

    fn secret() -> Secret {
        Secret::new(Token::parse(FIXED).unwrap())
    }

    /// The token of 32 zero bytes.
    const FIXED: &str = "sctec_00000000000000000000000000000000000000000003Jut82";

    #[test]
    fn a_proof_is_what_others_compute_with_the_same_secret() {
        // python3: hmac.new(secret, b"sctec: prova do coordenador, 1\0" + b"\1" * 32 + b"\7" * 16, "sha256").hexdigest()
        let proof = secret().prove(&[1; NONCE_BYTES], &PROCESS);
        assert_eq!(
            base16ct::lower::encode_string(&proof),
            "76204074d2dee037830762f3799bf2880b25166cd0a32fdbe62293b0ce607a46"
        );
        assert!(secret().confirms(&[1; NONCE_BYTES], &PROCESS, &proof));
    }

    #[test]
    fn a_secret_is_recognised_and_never_shown() {
        let secret = Secret::random().unwrap();
        assert!(secret.is(secret.expose()) && !secret.is("") && !secret.is(FIXED));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(!secret.is(&secret.expose()[1..]) && !secret.is(&format!("{} ", secret.expose())));
    }

    proptest! {
        #[test]
        fn a_proof_is_good_for_its_question_its_process_and_its_secret_only(
            nonce: Nonce, process: ProcessId, bit in 0..256_usize, process_bit in 0..128_usize,
        ) {
            let secret = secret();
            let proof = secret.prove(&nonce, &process);
            prop_assert!(secret.confirms(&nonce, &process, &proof));
            let flipped = |at: usize, bytes: &mut [u8]| bytes[at / 8] ^= 1 << (at % 8);
            let (mut other_nonce, mut other_proof, mut other_process) = (nonce, proof, process);
            flipped(bit, &mut other_nonce);
            flipped(bit, &mut other_proof);
            flipped(process_bit, &mut other_process);
            prop_assert!(!secret.confirms(&other_nonce, &process, &proof));
            prop_assert!(!secret.confirms(&nonce, &process, &other_proof));
            prop_assert!(!secret.confirms(&nonce, &other_process, &proof));
            prop_assert!(!Secret::random().unwrap().confirms(&nonce, &process, &proof));
        }
    }
}
