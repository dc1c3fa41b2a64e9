-- A telescope or a scientist that is not active cannot be booked, or book. Neither is ever deleted.

ALTER TABLE telescopios ADD COLUMN ativo INTEGER NOT NULL DEFAULT 1 CHECK (ativo IN (0, 1));
ALTER TABLE cientistas ADD COLUMN ativo INTEGER NOT NULL DEFAULT 1 CHECK (ativo IN (0, 1));

-- Grows with each change of the catalogue, also with one that is made with SQL. Who has read the catalogue sees by it whether to
-- read it again.
ALTER TABLE resumo ADD COLUMN catalogo INTEGER NOT NULL DEFAULT 1;

CREATE TRIGGER telescopios_ao_criar AFTER INSERT ON telescopios
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER telescopios_ao_mudar AFTER UPDATE ON telescopios
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER telescopios_ao_apagar AFTER DELETE ON telescopios
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER cientistas_ao_criar AFTER INSERT ON cientistas
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER cientistas_ao_mudar AFTER UPDATE ON cientistas
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;

CREATE TRIGGER cientistas_ao_apagar AFTER DELETE ON cientistas
BEGIN
    UPDATE resumo SET catalogo = catalogo + 1;
END;
