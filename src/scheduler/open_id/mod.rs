//! An identity provider (OpenID Connect, the authorisation code flow with PKCE): how it is configured ([`settings`]), what one attempt
//! to sign in sends ([`attempt`]), whom the provider recognises ([`provider`]), and how many wait for it at once ([`places`]).

mod attempt;
mod fetch;
mod places;
mod provider;
mod settings;

pub use self::attempt::{Attempt, no_cookie};
pub use self::places::{Full, Place};
pub use self::provider::{AT_ONCE, Failed, OF_ONE_ADDRESS, Provider};
pub use self::settings::{Issuer, OpenId, RETURN_PATH, ReturnUrl, WrongUrl};
