//! What the scheduler asks on each new connection, and whether the answer is its coordinator's.

use hyper::StatusCode;

use crate::access::secret::{NONCE_BYTES, Secret};
use crate::coordinator::protocol::challenge::{is_proof, target};
use crate::http::client::{Challenge, Question};

/// Asks for a proof that the other end has the secret.
pub struct AskForSecret(pub Secret);

impl Challenge for AskForSecret {
    fn ask(&self) -> Result<Question, String> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)
            .map_err(|error| format!("não foi desafiado, o sistema não dá números aleatórios: {error}"))?;
        let secret = self.0.clone();
        let judge = move |status: StatusCode, body: &[u8]| match status {
            StatusCode::OK if is_proof(&secret, &nonce, body) => Ok(()),
            StatusCode::OK => {
                Err("não é o coordenador deste agendador: a resposta ao desafio não confere com o segredo".to_owned())
            }
            StatusCode::NOT_FOUND => {
                Err("não é o coordenador deste agendador, ou começou sem o segredo (--coordinator-token-file)"
                    .to_owned())
            }
            other => Err(format!("não provou que é o coordenador deste agendador: respondeu {other} ao desafio")),
        };
        Ok(Question { target: target(&nonce), judge: Box::new(judge) })
    }
}
