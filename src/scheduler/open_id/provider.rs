//! The identity provider: what it says of itself, and whom it recognises.
//!
//! Its document and its keys are read when somebody signs in, and then kept for [`KEPT_FOR`]. Nothing else waits for the provider: without it
//! nobody signs in, and everything else goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRequestTokenError, CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::url::Url;
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClaimsVerificationError, CsrfToken, DiscoveryError, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, OAuth2TokenResponse, PkceCodeChallenge, RequestTokenError, Scope, TokenResponse,
    TokenUrl, UserInfoUrl,
};
use slog::{Logger, info};
use tokio::sync::Mutex;

use super::attempt::Attempt;
use super::fetch::{Fetch, FetchError};
use super::places::{Full, Place, Places};
use super::settings::{OpenId, ReturnUrl};
use crate::access::subject::{Identified, email_of, is_subject};
use crate::http::bounds::address::AddressKey;

/// How long what the provider says of itself is kept.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// How long a failure is kept, and the least pause between two readings for the sake of an unknown key: so sign-ins do not become
/// a flood of requests.
const FAILED_FOR: Duration = Duration::from_secs(1);
const KEYS_EVERY: Duration = Duration::from_secs(1);
/// The most people for whom the provider is asked, or waited for, at once: in all, and of one address.
pub const AT_ONCE: usize = 64;
pub const OF_ONE_ADDRESS: usize = 4;

/// The signatures that are believed: a provider's own, by its private key. One made with this service's secret is not.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The library's client with what the provider says of itself.
type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Why nobody was recognised. The text is for the log: no code, token or secret is in it.
#[derive(Clone, Debug)]
pub enum Failed {
    /// The provider does not answer.
    Unavailable(String),
    /// There is no place to ask it.
    Full(Full),
    /// The provider's answer cannot be believed, or it refuses this service.
    Wrong(String),
    /// The code is not this attempt's, was used, or has ended.
    Code(String),
}

/// The provider.
pub struct Provider {
    settings: OpenId,
    fetch: Fetch,
    /// Held while the provider is read, so that those who come meanwhile wait for the same answer.
    known: Mutex<Known>,
    places: Places,
    log: Logger,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<CoreProviderMetadata>, Instant)>,
    failed: Option<(Failed, Instant)>,
}

impl Provider {
    /// A provider that was not asked yet.
    pub fn new(settings: OpenId, log: Logger) -> Self {
        let fetch = Fetch::new(&settings.trust);
        Self { settings, fetch, known: Mutex::default(), places: Places::new(AT_ONCE, OF_ONE_ADDRESS), log }
    }

    /// How the provider is reached, and how this service is known there.
    pub fn settings(&self) -> &OpenId {
        &self.settings
    }

    /// Takes a place for somebody of this address, to ask the provider.
    ///
    /// # Errors
    /// When there is none.
    pub fn place(&self, peer: SocketAddr) -> Result<Place<'_>, Failed> {
        self.places.take(AddressKey::of(peer)).map_err(Failed::Full)
    }

    /// Where the browser is sent with an attempt.
    ///
    /// # Errors
    /// When the provider cannot be read.
    pub async fn address(&self, _place: &Place<'_>, attempt: &Attempt, back: &ReturnUrl) -> Result<Url, Failed> {
        let client = self.client(self.metadata(KEPT_FOR).await?, back);
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || CsrfToken::new(state), || nonce)
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&attempt.verifier()));
        Ok(request.url().0)
    }

    /// Whom the provider has recognised: exchanges the code, and checks the ID token.
    ///
    /// # Errors
    /// Why it is nobody.
    pub async fn identify(
        &self,
        _place: &Place<'_>,
        code: String,
        attempt: &Attempt,
        back: &ReturnUrl,
    ) -> Result<Identified, Failed> {
        let mut client = self.client(self.metadata(KEPT_FOR).await?, back);
        let answer = self.exchange(&client, code, attempt).await?;
        let token = answer.id_token().ok_or_else(|| Failed::Wrong("não deu um ID token".to_owned()))?;
        let claims = match verified(&client, token, attempt) {
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                // The provider may have changed its keys since they were read, also under the name of an earlier one.
                client = self.client(self.metadata(KEYS_EVERY).await?, back);
                verified(&client, token, attempt)
            }
            verified => verified,
        };
        let claims = claims.map_err(|error| distrust(&error))?;
        check_access_token(&client, &answer, token, claims)?;
        let subject = claims.subject().as_str().to_owned();
        if !is_subject(&subject) {
            return Err(Failed::Wrong("o sujeito está vazio, é longo demais ou tem caracteres de controle".to_owned()));
        }
        let mut email = claims.email().map(|email| (email.as_str().to_owned(), claims.email_verified()));
        if email.is_none() {
            // Some providers tell the address only here.
            email = self.told_of_user(&client, &answer, claims).await?;
        }
        let email = email.filter(|(_, verified)| *verified == Some(true)).and_then(|(email, _)| email_of(&email));
        Ok(Identified { issuer: self.settings.issuer.as_str().to_owned(), subject, email })
    }

    async fn exchange(&self, client: &Client, code: String, attempt: &Attempt) -> Result<CoreTokenResponse, Failed> {
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| Failed::Wrong("não tem token_endpoint".to_owned()))?
            .set_pkce_verifier(attempt.verifier());
        request.request_async(&self.fetch).await.map_err(|error| refused(&error))
    }

    async fn told_of_user(
        &self,
        client: &Client,
        answer: &CoreTokenResponse,
        claims: &CoreIdTokenClaims,
    ) -> Result<Option<(String, Option<bool>)>, Failed> {
        let subject = claims.subject().clone();
        // A provider without this endpoint vouches for no address.
        let Ok(request) = client.user_info(answer.access_token().clone(), Some(subject)) else { return Ok(None) };
        let told: CoreUserInfoClaims = request
            .request_async(&self.fetch)
            .await
            .map_err(|_| Failed::Unavailable("não disse o e-mail em userinfo_endpoint".to_owned()))?;
        Ok(told.email().map(|email| (email.as_str().to_owned(), told.email_verified())))
    }

    fn client(&self, metadata: Arc<CoreProviderMetadata>, back: &ReturnUrl) -> Client {
        let (id, secret) = (self.settings.client_id.clone(), self.settings.client_secret.clone());
        CoreClient::from_provider_metadata(Arc::unwrap_or_clone(metadata), id, secret)
            .set_redirect_uri(back.url().clone())
    }

    /// What the provider says of itself, read within the last `age`.
    async fn metadata(&self, age: Duration) -> Result<Arc<CoreProviderMetadata>, Failed> {
        let mut known = self.known.lock().await;
        if let Some((metadata, read)) = &known.metadata
            && read.elapsed() < age
        {
            return Ok(Arc::clone(metadata));
        }
        if let Some((failed, at)) = &known.failed
            && at.elapsed() < FAILED_FOR
        {
            return Err(failed.clone());
        }
        match self.read().await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Known { metadata: Some((Arc::clone(&metadata), Instant::now())), failed: None };
                info!(self.log, "O provedor de identidade {} foi lido", self.settings.issuer);
                Ok(metadata)
            }
            Err(failed) => {
                known.failed = Some((failed.clone(), Instant::now()));
                Err(failed)
            }
        }
    }

    async fn read(&self) -> Result<CoreProviderMetadata, Failed> {
        let issuer = &self.settings.issuer;
        let read = CoreProviderMetadata::discover_async(issuer.url().clone(), &self.fetch).await;
        let metadata = read.map_err(|error| match error {
            DiscoveryError::Request(error) => Failed::Unavailable(error.to_string()),
            DiscoveryError::Response(status, ..) => Failed::Unavailable(format!("responde {status}")),
            DiscoveryError::Validation(words) => Failed::Wrong(format!("diz ser outro: {words}")),
            error => Failed::Wrong(format!("o seu documento não pode ser lido: {error}")),
        })?;
        let named = [
            Some(metadata.authorization_endpoint().url()),
            Some(metadata.jwks_uri().url()),
            metadata.token_endpoint().map(TokenUrl::url),
            metadata.userinfo_endpoint().map(UserInfoUrl::url),
        ];
        let insecure = named.into_iter().flatten().find(|url| !issuer.may_name(url)).map(Url::to_string);
        match insecure {
            Some(url) => Err(Failed::Wrong(format!("dá um endereço sem TLS: {url}"))),
            None => Ok(metadata),
        }
    }
}

/// The claims of an ID token, if it is signed by the provider, for this service and for this attempt, and has not ended.
fn verified<'a>(
    client: &Client,
    token: &'a CoreIdToken,
    attempt: &Attempt,
) -> Result<&'a CoreIdTokenClaims, ClaimsVerificationError> {
    token.claims(&client.id_token_verifier().set_allowed_algs(ALGORITHMS), &attempt.nonce())
}

/// Checks that the access token belongs to the ID token, where that says so.
fn check_access_token(
    client: &Client,
    answer: &CoreTokenResponse,
    token: &CoreIdToken,
    claims: &CoreIdTokenClaims,
) -> Result<(), Failed> {
    let Some(expected) = claims.access_token_hash() else { return Ok(()) };
    let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
    let hash = || {
        let (algorithm, key) = (token.signing_alg().ok()?, token.signing_key(&verifier).ok()?);
        AccessTokenHash::from_token(answer.access_token(), algorithm, key).ok()
    };
    if hash().as_ref() == Some(expected) {
        Ok(())
    } else {
        Err(Failed::Wrong("o access token não é o do ID token".to_owned()))
    }
}

/// Why the exchange of the code failed. A provider's own words are not repeated: the code may be in them.
fn refused(error: &CoreRequestTokenError<FetchError>) -> Failed {
    match error {
        RequestTokenError::ServerResponse(said) => match said.error() {
            CoreErrorResponseType::InvalidGrant => Failed::Code("o provedor não aceita o código".to_owned()),
            other => Failed::Wrong(format!("recusa este serviço: {}", other.as_ref())),
        },
        RequestTokenError::Request(error) => Failed::Unavailable(error.to_string()),
        RequestTokenError::Parse(error, _) => {
            Failed::Wrong(format!("a sua resposta ao código não pode ser lida, em {}", error.path()))
        }
        RequestTokenError::Other(_) => Failed::Wrong("a sua resposta ao código não pode ser lida".to_owned()),
    }
}

/// Why an ID token is not believed. The values in it are not repeated.
fn distrust(error: &ClaimsVerificationError) -> Failed {
    let why = match error {
        ClaimsVerificationError::InvalidNonce(_) => {
            return Failed::Code("o ID token é de outra entrada (nonce)".to_owned());
        }
        ClaimsVerificationError::Expired(_) => "venceu",
        ClaimsVerificationError::InvalidAudience(_) => "é para outro serviço (aud)",
        ClaimsVerificationError::InvalidIssuer(_) => "é de outro provedor (iss)",
        ClaimsVerificationError::SignatureVerification(_) => "não tem uma assinatura do provedor",
        _ => "não é válido",
    };
    Failed::Wrong(format!("o ID token {why}"))
}
