//! The tables of an agenda, for one that moves from a database to another. They have the same names and columns in each.

/// A table, and the columns that move.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns that move.
    pub columns: &'static [&'static str],
}

/// The tables with rows of their own, each after those that its rows refer to. The trail's head and the summary have one row each, and do
/// not move as rows.
pub const TABLES: [Table; 10] = [
    Table {
        name: "telescopios",
        columns: &[
            "id",
            "codigo",
            "nome",
            "simulado",
            "ativo",
            "duracao_max_min",
            "antecedencia_min_min",
            "cancelamento_min_min",
            "horizonte_dias",
            "abre_as_min",
            "cota_ativas",
            "cota_dia_min",
            "horas",
            "exige_proposta",
            "disputa",
        ],
    },
    Table { name: "cientistas", columns: &["id", "nome", "instituicao", "pais", "ativo"] },
    Table {
        name: "propostas",
        columns: &["id", "titulo", "responsavel_id", "inicio_us", "fim_us", "ativa", "membros", "alocado_min"],
    },
    Table {
        name: "agendamentos",
        columns: &[
            "id",
            "telescopio_id",
            "cientista_id",
            "inicio_us",
            "fim_us",
            "status",
            "alvo",
            "observacoes",
            "clique_us",
            "criado_us",
            "cancelado_us",
            "motivo",
            "token",
            "req",
            "proposta_id",
            "versao",
            "alterado_us",
            "carimbo_us",
            "disputado",
        ],
    },
    Table { name: "horarios", columns: &["telescopio_id", "inicio_us", "agendamento_id", "token", "abre_us"] },
    Table {
        name: "manutencoes",
        columns: &[
            "id",
            "telescopio_id",
            "inicio_us",
            "fim_us",
            "semanal_ate_us",
            "ultimo_fim_us",
            "motivo",
            "removida_us",
            "abre_us",
        ],
    },
    Table {
        name: "esperas",
        columns: &[
            "id",
            "telescopio_id",
            "cientista_id",
            "inicio_us",
            "fim_us",
            "status",
            "alvo",
            "observacoes",
            "proposta_id",
            "criada_us",
            "encerrada_us",
            "agendamento_id",
            "preterida_us",
            "preterida_codigo",
            "preterida_motivo",
            "req",
        ],
    },
    Table {
        name: "respostas",
        columns: &["chave", "autor", "ordem", "pedido", "guardada_us", "req", "status", "location", "etag", "corpo"],
    },
    // Without the private halves: the schedulers of the new database make a key of their own.
    Table { name: "chaves_de_hora", columns: &["id", "publica", "criada_us"] },
    Table { name: "auditoria", columns: &["seq", "linha", "agendamento_id"] },
];

/// A value of a row that moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// None.
    Null,
    /// A whole number; of a flag 0 or 1.
    Number(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}
