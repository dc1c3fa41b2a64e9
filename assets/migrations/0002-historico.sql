-- A booking's history is looked up by its number. A line that is not JSON, which only someone else can have put there, has
-- none: it must not keep the service from starting.

CREATE INDEX auditoria_por_agendamento
    ON auditoria (iif(json_valid(linha), json_extract(linha, '$.details.agendamento_id'), NULL));
