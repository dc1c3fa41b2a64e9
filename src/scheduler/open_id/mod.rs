//! An identity provider (OpenID Connect, the authorisation code flow with PKCE): how it is configured ([`settings`]), what one attempt
//! to sign in sends ([`attempt`]), and whom the provider recognises ([`provider`]).

mod attempt;
mod fetch;
mod provider;
mod settings;

pub use self::attempt::{Attempt, no_cookie};
pub use self::provider::{Failed, Provider};
pub use self::settings::{Issuer, OpenId, RETURN_PATH, ReturnUrl, WrongUrl};
