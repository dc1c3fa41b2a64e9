//! What can be wrong with a field: a stable code for programs, which may speak another language, and words for people.

use serde::{Serialize, Serializer};

/// The codes, each with its name on the wire, and the list of them all.
macro_rules! codes {
    ($($(#[doc = $words:literal])+ $code:ident = $name:literal,)+) => {
        /// The kind of a field's fault; `docs/API.md` has the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FieldCode {
            $($(#[doc = $words])+ $code,)+
        }

        impl FieldCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// Its name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }
        }
    };
}

codes! {
    /// Not there, and needed.
    Missing = "obrigatorio",
    /// Another JSON type than it should be.
    Kind = "tipo_errado",
    /// Not a whole number, or out of its range.
    Number = "numero_invalido",
    /// A text that is empty or too long.
    Length = "tamanho",
    /// A text with a control character.
    ControlCharacters = "caracteres_de_controle",
    /// Not an RFC 3339 instant, or one that does not exist or is out of range.
    Instant = "instante_invalido",
    /// There more than once.
    Repeated = "repetido",
    /// No field that this request has.
    Unknown = "desconhecido",
    /// A start off the grid of slots.
    OffGrid = "fora_da_grade",
    /// No duration that a booking may have.
    Duration = "duracao_invalida",
    /// Two fields that say the same thing differently.
    Contradiction = "contradicao",
    /// A booking that ends after the last year.
    TooLate = "tarde_demais",
    /// In the past, where only what is to come can be booked.
    Past = "ja_passou",
    /// No such scientist.
    UnknownScientist = "cientista_desconhecido",
    /// No such telescope.
    UnknownTelescope = "telescopio_desconhecido",
    /// Wrong in a way that has no code of its own: the words say how.
    Other = "invalido",
}

impl FieldCode {
    /// This code with words for people: what is wrong, or what would be right.
    pub fn says(self, words: impl Into<String>) -> Wrong {
        Wrong { code: self, words: words.into() }
    }
}

impl Serialize for FieldCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What is wrong with a field. Words alone are [`FieldCode::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// For programs.
    pub code: FieldCode,
    /// For people, in Portuguese.
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
