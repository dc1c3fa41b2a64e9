//! What the rates say of one request: whether it may go on, and the headers of its answer.
//!
//! The headers are those of draft-ietf-httpapi-ratelimit-headers-11.

use std::fmt;
use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Client, Exceeded, Named, Rates, Share, Standing};
use crate::http::kind;
use crate::http::problem::Problem;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Of its burst, a client that has less than this share left is told so. Others have no need to know, and most answers stay short.
const TELLS_FROM: (u64, u64) = (3, 4);

/// Counts one request in the rate of its client.
#[derive(Clone, Default)]
pub struct Meter {
    /// `None` if nothing is limited.
    rates: Option<Arc<Rates>>,
    /// Who was charged, and what is left.
    charged: Option<((Share, Client), Standing)>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("charged", &self.charged).finish_non_exhaustive()
    }
}

impl Meter {
    /// A meter for one request.
    pub fn new(rates: Option<Arc<Rates>>) -> Self {
        Self { rates, charged: None }
    }

    /// Counts the request as one of `client`, in its `share`.
    ///
    /// # Errors
    /// 429, if the client has used its rate up.
    pub fn charge(&mut self, share: Share, client: impl FnOnce() -> Client) -> Result<(), Problem> {
        let Some(rates) = self.rates.as_ref().filter(|_| share != Share::Free) else { return Ok(()) };
        let counted = (share, client());
        match rates.charge(&counted) {
            Ok(standing) => {
                self.charged = standing.map(|standing| (counted, standing));
                Ok(())
            }
            Err(exceeded) => {
                let problem = too_many(rates, &counted.1, &exceeded);
                self.charged = Some((counted, exceeded.standing(share)));
                Err(problem)
            }
        }
    }

    /// Counts `more` requests of the same client: what was sent is several in one. The client owes those for which its rate has no room,
    /// and its next request waits for them.
    ///
    /// # Errors
    /// 429, if the client owes already, for requests that it has sent at the same time.
    pub fn charge_more(&mut self, more: usize) -> Result<(), Problem> {
        let (Some(rates), Some((counted, standing))) = (&self.rates, &mut self.charged) else { return Ok(()) };
        match rates.charge_more(counted, *standing, more) {
            Ok(next) => {
                *standing = next;
                Ok(())
            }
            Err(exceeded) => {
                *standing = exceeded.standing(standing.share);
                Err(too_many(rates, &counted.1, &exceeded))
            }
        }
    }

    /// Adds to an answer what its client has left, once the client has used a [quarter](TELLS_FROM) of its burst.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        let (Some(rates), Some((_, standing))) = (&self.rates, &self.charged) else { return };
        let Standing { share, left, window_s } = standing;
        if u64::from(*left) * TELLS_FROM.1 >= u64::from(rates.burst.get()) * TELLS_FROM.0 {
            return;
        }
        let policy = &rates.policies[usize::from(*share == Share::Reserve)];
        headers.insert(RATE_LIMIT_POLICY, policy.clone());
        if let Ok(value) = HeaderValue::try_from(format!("\"{}\";r={left};t={window_s}", share.name())) {
            headers.insert(RATE_LIMIT, value);
        }
    }
}

impl Exceeded {
    /// How long to wait, rounded up.
    fn seconds(&self) -> u64 {
        u64::try_from(self.wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }

    fn standing(&self, share: Share) -> Standing {
        Standing { share, left: 0, window_s: self.seconds() }
    }
}

/// The answer to a client that has used its rate up.
fn too_many(rates: &Rates, client: &Client, exceeded: &Exceeded) -> Problem {
    let Rates { per_second, burst, .. } = rates;
    let seconds = exceeded.seconds();
    let whose = match client {
        Client::Address(_) => "Deste endereço vieram".to_owned(),
        Client::Principal(principal) => format!("De {} vieram", principal.name()),
    };
    let detail = format!(
        "{whose} mais requisições do que o serviço aceita: {per_second} por segundo, e até {burst} de uma vez depois de uma pausa. Nada foi feito; tente de novo em {seconds} s."
    );
    let problem = Problem::new(kind::TOO_FAST, detail).retry_after_s(seconds);
    if !exceeded.tells {
        return problem.already_logged();
    }
    let who = match client {
        Client::Address(address) => format!("o endereço {address}"),
        Client::Principal(Named(principal)) => format!("o principal {}", principal.name),
    };
    problem.caused_by(format!(
        "{who} passou da sua taxa (--rate {per_second}). As suas próximas recusas não são escritas aqui por um minuto; turned_away as conta"
    ))
}
