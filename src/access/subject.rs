//! People whom an identity provider recognises (OpenID Connect). Pure.
//!
//! A provider names a person by a *subject*, which never changes, and may vouch for an e-mail address.

/// The most bytes of a subject (OpenID Connect Core §2).
pub const SUBJECT_MAX: usize = 255;
/// The most bytes of an address.
pub const EMAIL_MAX: usize = 254;

/// How a provider knows somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The provider, by its URL.
    pub issuer: String,
    /// The provider's name for the person; `None` until the first sign-in of somebody with the address.
    pub subject: Option<String>,
    /// The address, in small letters.
    pub email: Option<String>,
}

/// Somebody who has just signed in at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The provider, by its URL.
    pub issuer: String,
    /// The provider's name for the person.
    pub subject: String,
    /// The person's address in small letters, if the provider has verified it.
    pub email: Option<String>,
}

impl Identified {
    /// How the provider knows this person from now on.
    pub fn subject(&self) -> Subject {
        Subject { issuer: self.issuer.clone(), subject: Some(self.subject.clone()), email: self.email.clone() }
    }
}

/// An address as it is compared.
pub fn email_of(text: &str) -> Option<String> {
    let (user, domain) = text.rsplit_once('@')?;
    let fits = text.len() <= EMAIL_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    (fits && !user.is_empty() && !domain.is_empty()).then(|| text.to_ascii_lowercase())
}

/// Whether a text can be a subject.
pub fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_in_small_letters() {
        assert_eq!(email_of("Ana@Obs.Example").as_deref(), Some("ana@obs.example"));
        for wrong in ["", "ana", "@x", "ana@", "a na@x", "ana@x\n", "aná@x"] {
            assert_eq!(email_of(wrong), None, "{wrong:?}");
        }
        assert!(is_subject("248289761001") && !is_subject("") && !is_subject("a\nb"));
    }
}
