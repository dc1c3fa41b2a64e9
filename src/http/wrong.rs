//! The errors of a field. Each has a stable code for programs and a message in Portuguese for people.

use serde::{Serialize, Serializer};

/// Defines the codes, the name of each on the wire, and the list of all codes.
macro_rules! codes {
    ($($(#[doc = $words:literal])+ $code:ident = $name:literal,)+) => {
        /// The error code of a field. `docs/API.md` has the table of codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FieldCode {
            $($(#[doc = $words])+ $code,)+
        }

        impl FieldCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The code's name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }
        }
    };
}

codes! {
    /// The field is required and absent.
    Missing = "obrigatorio",
    /// The value has the wrong JSON type.
    Kind = "tipo_errado",
    /// Not a whole number, or out of its range.
    Number = "numero_invalido",
    /// A text that is empty or too long.
    Length = "tamanho",
    /// A text with a control character.
    ControlCharacters = "caracteres_de_controle",
    /// Not an RFC 3339 instant, or one that does not exist or is out of range.
    Instant = "instante_invalido",
    /// The field occurs more than once.
    Repeated = "repetido",
    /// The request has no field of this name.
    Unknown = "desconhecido",
    /// The start is not on the grid of slots.
    OffGrid = "fora_da_grade",
    /// A booking may not have this duration.
    Duration = "duracao_invalida",
    /// Two fields contradict each other.
    Contradiction = "contradicao",
    /// The booking ends after the last allowed year.
    TooLate = "tarde_demais",
    /// The start is in the past. Only future times can be booked.
    Past = "ja_passou",
    /// A slot of the booking has another booking.
    Taken = "ocupado",
    /// The booking is longer than its telescope allows.
    RuleDuration = "regra_duracao",
    /// It begins sooner than its telescope allows.
    RuleNotice = "regra_antecedencia",
    /// Its day is not open yet.
    RuleHorizon = "regra_horizonte",
    /// The telescope does not operate then.
    RuleHours = "regra_horas",
    /// The scientist has as many bookings as the telescope allows.
    RuleStanding = "regra_cota_ativas",
    /// The scientist would have more minutes of a day than the telescope allows.
    RuleDay = "regra_cota_dia",
    /// The scientist does not exist.
    UnknownScientist = "cientista_desconhecido",
    /// The telescope does not exist.
    UnknownTelescope = "telescopio_desconhecido",
    /// The scientist may not book now.
    InactiveScientist = "cientista_inativo",
    /// The telescope may not be booked now.
    InactiveTelescope = "telescopio_inativo",
    /// The telescope is in maintenance then.
    Maintenance = "em_manutencao",
    /// The telescope takes only bookings of a proposal.
    ProposalRequired = "proposta_obrigatoria",
    /// The proposal does not exist.
    UnknownProposal = "proposta_desconhecida",
    /// The proposal may not be used now.
    InactiveProposal = "proposta_inativa",
    /// The scientist does not belong to the proposal.
    ForeignProposal = "proposta_alheia",
    /// The booking is not in the period of the proposal.
    ProposalPeriod = "proposta_fora_do_periodo",
    /// The proposal has not so many minutes left.
    ProposalOverdrawn = "proposta_sem_tempo",
    /// An error without a code of its own. The message describes it.
    Other = "invalido",
}

impl FieldCode {
    /// This code with a message for people.
    pub fn says(self, words: impl Into<String>) -> Wrong {
        Wrong { code: self, words: words.into() }
    }
}

impl Serialize for FieldCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The error of a field. A message without a code gets [`FieldCode::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The code, for programs.
    pub code: FieldCode,
    /// The message for people, in Portuguese.
    pub words: String,
}

impl From<String> for Wrong {
    fn from(words: String) -> Self {
        FieldCode::Other.says(words)
    }
}

impl From<&str> for Wrong {
    fn from(words: &str) -> Self {
        FieldCode::Other.says(words)
    }
}
