//! Kinds of problem: a stable code for programs, with the status and the title that always go with it.
//!
//! Every kind stands in a list, so that the table of `docs/API.md` and the page's words can be compared with all of them.

use hyper::StatusCode;

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

impl Kind {
    /// A kind. Only the lists make one.
    pub(crate) const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title }
    }

    /// The status of an answer.
    pub const fn status(self) -> StatusCode {
        self.status
    }

    /// The code on the wire.
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// The title, in Portuguese.
    pub const fn title(self) -> &'static str {
        self.title
    }
}

/// Declares kinds, and `ALL`, the list of them.
macro_rules! kinds {
    ($($(#[doc = $words:literal])+ $name:ident = $status:ident, $code:expr, $title:literal;)+) => {
        $(
            $(#[doc = $words])+
            pub const $name: $crate::http::kind::Kind =
                $crate::http::kind::Kind::new(hyper::StatusCode::$status, $code, $title);
        )+

        /// Every kind of this list.
        pub const ALL: &[$crate::http::kind::Kind] = &[$($name),+];
    };
}
pub(crate) use kinds;

kinds! {
    /// The head cannot be understood in one way only.
    MALFORMED_HEAD = BAD_REQUEST, "cabecalho_malformado", "Cabeçalho malformado";
    /// A request without TLS came to a port with TLS.
    PLAIN_HTTP = BAD_REQUEST, "falta_tls", "Falta TLS";
    /// The host that is asked is not one of the service's names.
    WRONG_HOST = MISDIRECTED_REQUEST, "host_recusado", "Host recusado";
    /// A page of another origin sends the request.
    WRONG_ORIGIN = FORBIDDEN, "origem_recusada", "Origem recusada";
    /// The service has to know who the client is.
    UNIDENTIFIED = UNAUTHORIZED, "nao_identificado", "Cliente não identificado";
    /// The client sends a token that identifies nobody.
    WRONG_TOKEN = UNAUTHORIZED, "token_recusado", "Token recusado";
    /// The client's session is over.
    SESSION_OVER = UNAUTHORIZED, "sessao_encerrada", "Sessão encerrada";
    /// The client is known, and may not do this.
    FORBIDDEN = FORBIDDEN, "papel_insuficiente", "Papel insuficiente";
    /// The service cannot tell now who the client is.
    IDENTITY_UNAVAILABLE = SERVICE_UNAVAILABLE, "identidade_indisponivel", "Identidade indisponível";
    /// What an identity provider says is no answer to a sign-in of this browser.
    ENTRY_INVALID = BAD_REQUEST, "entrada_invalida", "Entrada inválida";
    /// The person may not come in.
    ENTRY_REFUSED = FORBIDDEN, "entrada_recusada", "Entrada recusada";
    /// The identity provider does not answer, or not as it should.
    PROVIDER_UNAVAILABLE = SERVICE_UNAVAILABLE, "provedor_indisponivel", "Provedor de identidade indisponível";
    /// The body is not JSON.
    MALFORMED_JSON = BAD_REQUEST, "json_malformado", "JSON malformado";
    /// The body ended too early.
    CUT_BODY = BAD_REQUEST, "corpo_incompleto", "Corpo incompleto";
    /// The body did not come in time.
    SLOW_BODY = REQUEST_TIMEOUT, "corpo_incompleto", "Corpo incompleto";
    /// The body is too large.
    LARGE_BODY = PAYLOAD_TOO_LARGE, "corpo_grande_demais", "Corpo grande demais";
    /// Too many bytes of bodies arrive from the client's address.
    OWN_BODIES_FULL = TOO_MANY_REQUESTS, "corpos_demais", "Corpos demais";
    /// Too many bytes of bodies arrive from all clients.
    BODIES_FULL = SERVICE_UNAVAILABLE, "corpos_demais", "Corpos demais";
    /// The head did not come in time.
    SLOW_HEAD = REQUEST_TIMEOUT, "cabecalho_incompleto", "Cabeçalho incompleto";
    /// The resource is not the version that the client knows.
    OTHER_VERSION = PRECONDITION_FAILED, "versao_diferente", "Versão diferente";
    /// The body has a type other than JSON.
    MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE, "tipo_de_conteudo", "Tipo de conteúdo não aceito";
    /// Fields of the body are wrong.
    INVALID_FIELDS = UNPROCESSABLE_ENTITY, "campos_invalidos", "Campos inválidos";
    /// Parameters of the query are wrong.
    INVALID_PARAMETERS = UNPROCESSABLE_ENTITY, "parametros_invalidos", "Parâmetros inválidos";
    /// The path leads nowhere.
    NOT_FOUND = NOT_FOUND, "nao_encontrado", "Não encontrado";
    /// The path has other methods.
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "metodo_nao_permitido", "Método não permitido";
    /// The endpoint has no type that the client accepts.
    NOT_ACCEPTABLE = NOT_ACCEPTABLE, "formato_nao_disponivel", "Formato não disponível";
    /// Too many answers that take their time are under way.
    TOO_MANY_GUESTS = SERVICE_UNAVAILABLE, "esperas_demais", "Esperas demais";
    /// The same for the client's address alone.
    OWN_GUESTS_FULL = TOO_MANY_REQUESTS, "esperas_demais", "Esperas demais";
    /// Too many bytes of answers to the client's address are not read yet.
    OWN_ANSWERS_FULL = TOO_MANY_REQUESTS, "respostas_demais", "Respostas demais";
    /// Too many bytes of answers to all clients are not read yet.
    ANSWERS_FULL = SERVICE_UNAVAILABLE, "respostas_demais", "Respostas demais";
    /// The client has made more requests than its rate allows.
    TOO_FAST = TOO_MANY_REQUESTS, "requisicoes_demais", "Requisições demais";
    /// All places for connections are taken.
    NO_PLACE = SERVICE_UNAVAILABLE, "conexoes_demais", "Conexões demais";
    /// The service is stopping.
    STOPPING = SERVICE_UNAVAILABLE, "encerrando", "Encerrando";
    /// A fault of ours.
    INTERNAL = INTERNAL_SERVER_ERROR, "erro_interno", "Erro interno";
}
