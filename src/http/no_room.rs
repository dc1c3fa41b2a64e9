//! The refusals where a server holds as many bytes as it may.

use super::bounds::budget::Full;
use super::kind;
use super::problem::Problem;

/// Why there is no room for a body.
pub fn for_body(full: Full) -> Problem {
    let problem = match full {
        Full::Address => Problem::new(
            kind::OWN_BODIES_FULL,
            "Do seu endereço já chegam corpos demais ao mesmo tempo; termine os outros envios e tente de novo.",
        ),
        Full::Server => Problem::new(
            kind::BODIES_FULL,
            "O serviço já recebe corpos demais ao mesmo tempo; tente de novo em instantes.",
        ),
    };
    problem.retry_after_s(1)
}

/// Why there was no turn for a reading whose answer may be large.
pub fn for_reading(full: Full) -> Problem {
    let problem = match full {
        Full::Address => Problem::new(
            kind::OWN_ANSWERS_FULL,
            "O seu endereço já pediu leituras demais ao mesmo tempo; espere as outras, ou peça um período ou uma página menor.",
        ),
        Full::Server => Problem::new(
            kind::ANSWERS_FULL,
            "O serviço já faz leituras demais ao mesmo tempo; tente de novo em instantes, ou peça um período ou uma página menor.",
        ),
    };
    problem.retry_after_s(5)
}

/// Why there is no room for an answer.
pub fn for_answer(full: Full) -> Problem {
    let problem = match full {
        Full::Address => Problem::new(
            kind::OWN_ANSWERS_FULL,
            "O seu endereço já tem respostas demais que não terminou de ler; leia as outras, ou peça um período ou uma página menor.",
        ),
        Full::Server => Problem::new(
            kind::ANSWERS_FULL,
            "O serviço já guarda respostas demais que os clientes não terminaram de ler; tente de novo em instantes, ou peça um período ou uma página menor.",
        ),
    };
    problem.retry_after_s(5)
}
