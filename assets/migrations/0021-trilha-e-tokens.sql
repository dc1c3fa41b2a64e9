-- What each booking has cost and need not: its record was parsed to find the booking's number, a trigger noted its token, and one more index
-- had it.

-- The number stands in a record's line after this name: inside of a text its quotation marks are escaped. A line without it, also one that
-- is not JSON, has none. Only the minutes of a proposal have names that people choose, codes of telescopes. So the readers look at each line
-- that is found here.
DROP INDEX IF EXISTS auditoria_por_agendamento;
ALTER TABLE auditoria ADD COLUMN agendamento_id INTEGER GENERATED ALWAYS AS
    (CAST(substr(linha, nullif(instr(linha, '"agendamento_id":'), 0) + 17, 19) AS INTEGER)) VIRTUAL;
CREATE INDEX auditoria_por_agendamento ON auditoria (agendamento_id);

-- Each transaction notes the largest token once, at its end.
DROP TRIGGER IF EXISTS horarios_token_ao_criar;
DROP TRIGGER IF EXISTS horarios_token_ao_mudar;

-- A list of all bookings is a merge of the stretches of agendamentos_por_telescopio, like the other lists.
DROP INDEX IF EXISTS agendamentos_por_inicio;
