//! The options of what stands in front of a scheduler: a proxy with a path of its own, and pages of other origins.

use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;
use rust_i18n::t;

use crate::http::guard::origins::{AllowedOrigin, WrongOrigin};
use crate::http::prefix::{Prefix, Prefixes};

/// Options of what stands in front of a scheduler. An empty value is none: a composition may pass on a variable that is not set.
#[derive(Clone, Debug, Args)]
pub struct FrontArgs {
    /// The path below which clients see this service, behind a proxy: all links begin with it. A request may have it in its path or not
    #[arg(long, env = "SCTEC_BASE_PATH", value_name = "PATH", value_parser = parse_base_path)]
    base_path: Option<Prefix>,
    /// Believe what this proxy says: below which path clients see the service (X-Forwarded-Prefix, instead of --base-path), and who they are for the
    /// stamps of their clicks (Forwarded, X-Forwarded-For). An address, or a network such as 10.0.0.0/8. Repeat it, or comma-separate several
    #[arg(long = "trusted-proxy", env = "SCTEC_TRUSTED_PROXY", value_name = "ADDRESS", value_delimiter = ',', value_parser = parse_proxy)]
    trusted_proxies: Vec<Option<IpNet>>,
    /// Let pages of this origin use the service too, with a token. It is what their browser sends as Origin:
    /// scheme, host and port, without a path. Repeat it, or comma-separate several
    #[arg(long = "allowed-origin", env = "SCTEC_ALLOWED_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    allowed_origins: Vec<Option<AllowedOrigin>>,
}

impl FrontArgs {
    /// Below which path clients see the service.
    pub fn prefixes(&self) -> Prefixes {
        let proxies: Vec<IpNet> = self.trusted_proxies.iter().flatten().copied().collect();
        Prefixes { base: self.base_path.clone().unwrap_or_default(), proxies: proxies.into() }
    }

    /// The origins of other pages.
    pub fn origins(&self) -> Vec<AllowedOrigin> {
        self.allowed_origins.iter().flatten().cloned().collect()
    }
}

fn parse_base_path(text: &str) -> Result<Prefix, String> {
    text.trim().parse().map_err(|_| {
        t!("it must be a path of letters, digits, '.', '_', '~' and '-', such as /sctec or /obs/sctec").into_owned()
    })
}

fn parse_proxy(text: &str) -> Result<Option<IpNet>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let wrong = || t!("it is not an address; give that of the proxy, or its network, as 10.0.0.7 or 10.0.0.0/8");
    network.map(Some).ok_or_else(|| wrong().into_owned())
}

fn parse_origin(text: &str) -> Result<Option<AllowedOrigin>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let origin = text.parse().map_err(|wrong| match wrong {
        WrongOrigin::Scheme => t!("does not begin with http:// or https://"),
        WrongOrigin::Path => t!("has more than a scheme, a host and a port"),
        WrongOrigin::Pattern => t!("is a pattern; give each name in full"),
        WrongOrigin::NoHost => t!("has no host, or a port that is no number"),
        WrongOrigin::Form => t!("has capitals, or the port that its scheme has anyway: browsers never write it so"),
    });
    origin.map(Some).map_err(|wrong| {
        t!("it %{wrong}; give the origin as a browser writes it, such as https://app.example.org", wrong = wrong)
            .into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_none_and_a_wrong_one_is_explained() {
        assert_eq!((parse_proxy(" "), parse_origin("")), (Ok(None), Ok(None)));
        assert_eq!(parse_base_path("").unwrap(), Prefix::default());
        for fine in ["10.0.0.7", "10.0.0.0/8", "::1", "fd00::/8"] {
            assert!(parse_proxy(fine).unwrap().is_some(), "{fine}");
        }
        for wrong in ["proxy.example", "10.0.0.0/33", "10.0.0.7:80", "*"] {
            assert!(parse_proxy(wrong).unwrap_err().contains("10.0.0.0/8"), "{wrong}");
        }
        assert!(parse_base_path("sctec").unwrap_err().contains("/sctec"));
        for (text, words) in [
            ("app.example", "http://"),
            ("https://app.example/", "more than"),
            ("https://*.example", "pattern"),
            ("https://a:b", "port"),
            ("https://App.example", "capitals"),
        ] {
            let error = parse_origin(text).unwrap_err();
            assert!(error.contains(words) && error.contains("https://app.example.org"), "{error}");
        }
    }
}
