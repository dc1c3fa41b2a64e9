//! The codes of the scheduler's own refusals, for programs, with their titles.

/// Declares the codes, each with its name on the wire and its title, and the list of them all.
macro_rules! codes {
    ($($(#[doc = $words:literal])+ $code:ident = $name:literal, $title:literal;)+) => {
        /// The reason of a refusal, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $words])+ $code,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The name on the wire and in audit records.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }

            /// The title, for people.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$code => $title,)+
                }
            }
        }
    };
}

codes! {
    /// Another request holds the lock of a slot, or its retention lasts.
    Busy = "recurso_ocupado", "Recurso ocupado";
    /// A slot has a booking.
    Taken = "horario_ocupado", "Horário ocupado";
    /// The telescope has no free slots that fit.
    NoneFree = "sem_horario_livre", "Sem horário livre";
    /// The booking was cancelled before.
    AlreadyCancelled = "ja_cancelado", "Agendamento já cancelado";
    /// The observation has begun.
    Started = "observacao_iniciada", "Observação já iniciada";
    /// The telescope takes no cancellation so near to the start.
    TooLateToCancel = "cancelamento_tardio", "Tarde demais para cancelar";
    /// The observation has ended.
    Ended = "observacao_terminada", "Observação já terminada";
    /// The booking has another version than the request expects.
    Differs = "versao_diferente", "Versão diferente";
    /// All slots that somebody would wait for are free.
    Free = "horario_livre", "Horário livre";
    /// The scientist waits for this start already.
    AlreadyWaiting = "ja_na_espera", "Já na lista de espera";
    /// The waiting list has its limit.
    WaitsFull = "lista_de_espera_cheia", "Lista de espera cheia";
    /// Without locks there is no waiting list.
    NoWaits = "sem_lista_de_espera", "Sem lista de espera";
    /// The entry of the waiting list is over.
    WaitOver = "espera_encerrada", "Espera encerrada";
    /// There is no such entry of a waiting list.
    UnknownWait = "espera_desconhecida", "Espera desconhecida";
    /// There is no such contest.
    UnknownContest = "disputa_desconhecida", "Disputa desconhecida";
    /// There is no such booking.
    UnknownBooking = "agendamento_desconhecido", "Agendamento desconhecido";
    /// There is no such scientist.
    UnknownScientist = "cientista_desconhecido", "Cientista desconhecido";
    /// There is no such telescope.
    UnknownTelescope = "telescopio_desconhecido", "Telescópio desconhecido";
    /// The catalogue has a telescope of this code already.
    TelescopeExists = "telescopio_existe", "Telescópio já existe";
    /// There is no such maintenance, or not any more.
    UnknownMaintenance = "manutencao_desconhecida", "Manutenção desconhecida";
    /// There is no such proposal.
    UnknownProposal = "proposta_desconhecida", "Proposta desconhecida";
    /// Bookings are in the time of a maintenance that may cancel none.
    BookedThen = "agendamentos_no_periodo", "Há agendamentos no período";
    /// More bookings are in the time of a maintenance than it may cancel.
    TooManyBookings = "agendamentos_demais", "Agendamentos demais";
    /// The telescope has as many maintenances as it may have.
    TooManyMaintenances = "manutencoes_demais", "Manutenções demais";
    /// The caller has as many secret addresses of calendars as one may have.
    TooManyCalendars = "calendarios_demais", "Calendários demais";
    /// The header `Idempotency-Key` is no key.
    WrongKey = "chave_malformada", "Chave malformada";
    /// Another request with the key is being carried out.
    KeyInUse = "chave_em_andamento", "Chave em andamento";
    /// The key is another request's.
    KeyReused = "chave_reutilizada", "Chave reutilizada";
    /// A field breaks a rule.
    InvalidFields = "campos_invalidos", "Campos inválidos";
    /// The coordinator gave no answer, or could grant nothing.
    CoordinatorUnavailable = "coordenador_indisponivel", "Coordenador indisponível";
    /// The lease expired before the write.
    LeaseExpired = "trava_expirada", "Trava expirada";
    /// A newer token has written to the slot.
    StaleToken = "token_obsoleto", "Token obsoleto";
    /// The database cannot be used now.
    DatabaseUnavailable = "banco_indisponivel", "Banco de dados indisponível";
    /// The database refuses this write.
    WriteRefused = "gravacao_recusada", "Gravação recusada pelo banco";
    /// The database holds a value that makes no sense.
    DatabaseInconsistent = "banco_inconsistente", "Banco de dados inconsistente";
    /// The commit failed, and may have written all the same.
    OutcomeUnknown = "resultado_incerto", "Resultado incerto";
    /// The audit trail cannot be written.
    AuditUnavailable = "auditoria_indisponivel", "Auditoria indisponível";
}
