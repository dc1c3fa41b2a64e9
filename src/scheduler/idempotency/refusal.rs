//! Why a request with an `Idempotency-Key` was not carried out.

use super::super::code::Code;
use crate::http::idempotency::{KEY_MAX, WrongKey};

/// Why a request with a key was not carried out.
#[derive(Clone, Copy, Debug)]
pub enum KeyRefusal {
    /// It is no key.
    Wrong(WrongKey),
    /// Another request with the key is being carried out.
    InUse,
    /// The key is another request's.
    Reused,
}

impl KeyRefusal {
    /// The code.
    pub fn code(self) -> Code {
        match self {
            Self::Wrong(_) => Code::WrongKey,
            Self::InUse => Code::KeyInUse,
            Self::Reused => Code::KeyReused,
        }
    }

    /// What happened and what to do, for people.
    pub fn detail(self) -> String {
        match self {
            Self::Wrong(wrong) => {
                let why = match wrong {
                    WrongKey::Several => "A requisição tem mais de um cabeçalho Idempotency-Key; envie um só.".to_owned(),
                    WrongKey::Empty => "O cabeçalho Idempotency-Key está vazio.".to_owned(),
                    WrongKey::Long => format!("A chave em Idempotency-Key tem mais de {KEY_MAX} caracteres."),
                    WrongKey::Form => {
                        "A chave em Idempotency-Key só pode ter caracteres visíveis do ASCII; com espaço, vírgula ou ponto e vírgula, ela vem entre aspas."
                            .to_owned()
                    }
                };
                format!("{why} Um UUID é uma boa chave. Nada foi feito.")
            }
            Self::InUse => {
                "Outra requisição com esta Idempotency-Key ainda está em andamento. Repita daqui a pouco com a mesma chave e o mesmo corpo: a resposta será a dela."
                    .to_owned()
            }
            Self::Reused => {
                "Esta Idempotency-Key já foi usada numa requisição com outro corpo ou em outro endereço, e a resposta dela está guardada; nada foi feito. Use uma chave nova para cada pedido novo."
                    .to_owned()
            }
        }
    }
}
