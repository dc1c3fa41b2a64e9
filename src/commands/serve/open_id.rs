//! The options of signing in at an identity provider.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueHint};
use openidconnect::{ClientId, ClientSecret};
use rust_i18n::t;

use crate::access::Access;
use crate::access::entry::EmailRule;
use crate::http::tls::Trust;
use crate::scheduler::{Issuer, OpenId, ReturnUrl};

/// The longest secret of a client that is read.
const SECRET_MAX: usize = 4096;

/// Options of an identity provider. An empty value is none, and so are spaces: a composition may pass on a variable that is not set.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_field_names, reason = "clap names the options after the fields")]
#[expect(clippy::doc_markdown, reason = "a terminal would show the marks")]
pub struct OpenIdArgs {
    /// Let people sign in at this identity provider (OpenID Connect), with --access token
    #[arg(long, env = "SCTEC_OIDC_ISSUER", value_name = "URL", value_hint = ValueHint::Url)]
    oidc_issuer: Option<String>,
    /// The name of this service at the provider (client_id)
    #[arg(long, env = "SCTEC_OIDC_CLIENT_ID", value_name = "ID")]
    oidc_client_id: Option<String>,
    /// The file with the secret of this service at the provider (client_secret). A public client has none
    #[arg(long, env = "SCTEC_OIDC_CLIENT_SECRET_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    oidc_client_secret_file: Option<PathBuf>,
    /// How browsers reach this service: https, '://' and its name. The provider leads them back there, to /entrar/retorno. Without it, the
    /// address that the browser asks
    #[arg(long, env = "SCTEC_OIDC_REDIRECT_BASE", value_name = "URL", value_hint = ValueHint::Url)]
    oidc_redirect_base: Option<String>,
    /// Let in, as readers, all people whose e-mail of this domain the provider has verified
    #[arg(long, env = "SCTEC_OIDC_EMAIL_DOMAIN", value_name = "DOMAIN")]
    oidc_email_domain: Option<String>,
    /// Believe the provider's certificate if this file has it, or its authority, in PEM form; else the system's authorities count
    #[arg(long, env = "SCTEC_OIDC_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    oidc_ca: Option<PathBuf>,
}

impl OpenIdArgs {
    /// The provider, if there is one.
    ///
    /// # Errors
    /// When an option is wrong, or stands alone.
    pub fn read(&self, access: Access) -> anyhow::Result<Option<OpenId>> {
        let Some(url) = text(self.oidc_issuer.as_ref()) else {
            let alone = [
                ("--oidc-client-id", text(self.oidc_client_id.as_ref()).is_some()),
                ("--oidc-client-secret-file", file(self.oidc_client_secret_file.as_ref()).is_some()),
                ("--oidc-redirect-base", text(self.oidc_redirect_base.as_ref()).is_some()),
                ("--oidc-email-domain", text(self.oidc_email_domain.as_ref()).is_some()),
                ("--oidc-ca", file(self.oidc_ca.as_ref()).is_some()),
            ];
            return match alone.iter().find(|(_, given)| *given) {
                Some((option, _)) => {
                    bail!("{}", t!("%{option} needs the provider too: give --oidc-issuer URL", option = option))
                }
                None => Ok(None),
            };
        };
        if access == Access::Open {
            bail!("{}", t!("--oidc-issuer is for a service that asks who its callers are: give --access token too"));
        }
        let issuer = Issuer::parse(url).map_err(|wrong| anyhow!("--oidc-issuer {url:?} {wrong}"))?;
        let Some(client_id) = text(self.oidc_client_id.as_ref()) else {
            bail!("{}", t!("--oidc-issuer needs the name of this service at the provider: give --oidc-client-id ID"));
        };
        let return_to = text(self.oidc_redirect_base.as_ref())
            .map(|base| ReturnUrl::given(base).map_err(|wrong| anyhow!("--oidc-redirect-base {base:?} {wrong}")));
        let email_rule = text(self.oidc_email_domain.as_ref()).map(|domain| {
            EmailRule::of(domain).ok_or_else(|| {
                anyhow!(
                    "{}",
                    t!(
                        "--oidc-email-domain is a domain, as obs.example, and not %{domain}",
                        domain = format_args!("{domain:?}")
                    )
                )
            })
        });
        Ok(Some(OpenId {
            issuer,
            client_id: ClientId::new(client_id.to_owned()),
            client_secret: file(self.oidc_client_secret_file.as_ref()).map(secret).transpose()?,
            return_to: return_to.transpose()?,
            email_rule: email_rule.transpose()?,
            trust: file(self.oidc_ca.as_ref()).map(Trust::in_file).transpose()?.unwrap_or_default(),
        }))
    }
}

fn text(value: Option<&String>) -> Option<&str> {
    value.map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn file(path: Option<&PathBuf>) -> Option<&Path> {
    path.map(PathBuf::as_path).filter(|path| !path.as_os_str().as_encoded_bytes().trim_ascii().is_empty())
}

/// The secret in a file: its only line.
fn secret(path: &Path) -> anyhow::Result<ClientSecret> {
    let read = std::fs::read_to_string(path)
        .map_err(|error| anyhow!("{}", t!("cannot read %{path}: %{reason}", path = path.display(), reason = error)))?;
    let secret = read.trim_end_matches(['\n', '\r']);
    if secret.is_empty() || secret.len() > SECRET_MAX || secret.contains(char::is_control) {
        bail!("{}", t!("%{path} should have the secret of the client alone, in one line", path = path.display()));
    }
    Ok(ClientSecret::new(secret.to_owned()))
}
