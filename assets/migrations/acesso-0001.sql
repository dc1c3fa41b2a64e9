-- acesso.db: quem pode o quê. Um segredo nunca está aqui: só o seu SHA-256.
CREATE TABLE credencial (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- O SHA-256 do token; NULL para quem entra por um provedor de identidade (OpenID Connect).
    resumo       BLOB UNIQUE CHECK (resumo IS NULL OR length(resumo) = 32),
    -- O provedor (a sua URL) e o sujeito que ele identifica; NULL enquanto só se conhece o e-mail, até a primeira entrada.
    emissor      TEXT,
    sujeito      TEXT,
    -- O e-mail que o provedor deve ter verificado, em minúsculas.
    email        TEXT,
    nome         TEXT NOT NULL,
    -- Nomes de papéis, separados por vírgulas.
    papeis       TEXT NOT NULL,
    cientista_id INTEGER,
    -- Os começos dos nomes que um programa pode travar: uma lista JSON.
    prefixos     TEXT NOT NULL,
    criada_por   TEXT NOT NULL,
    -- Instantes em microssegundos desde 1970.
    criada_em    INTEGER NOT NULL,
    expira_em    INTEGER,
    revogada_em  INTEGER,
    -- O dia (AAAA-MM-DD) e o endereço do último uso.
    usada_em     TEXT,
    usada_de     TEXT,
    CHECK ((resumo IS NULL) = (emissor IS NOT NULL)),
    CHECK ((emissor IS NULL) = (sujeito IS NULL AND email IS NULL))
) STRICT;

-- As sessões da página. Uma sessão não tem direitos próprios: os da sua credencial valem, e ela termina com a credencial.
CREATE TABLE sessao (
    -- O SHA-256 do segredo que está no cookie.
    resumo        BLOB PRIMARY KEY CHECK (length(resumo) = 32),
    credencial_id INTEGER NOT NULL REFERENCES credencial (id),
    criada_em     INTEGER NOT NULL,
    -- O último uso; é gravado de dez em dez minutos, no máximo.
    vista_em      INTEGER NOT NULL
) STRICT;
CREATE INDEX sessao_da_credencial ON sessao (credencial_id, vista_em);

-- De um sujeito, ou de um e-mail que espera pela primeira entrada, vale uma credencial só.
CREATE UNIQUE INDEX credencial_sujeito ON credencial (emissor, sujeito)
    WHERE sujeito IS NOT NULL AND revogada_em IS NULL;
CREATE UNIQUE INDEX credencial_email ON credencial (emissor, email)
    WHERE sujeito IS NULL AND email IS NOT NULL AND revogada_em IS NULL;
