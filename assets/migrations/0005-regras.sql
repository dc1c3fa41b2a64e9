-- The rules of a telescope: how long, how soon, how far ahead and how much one scientist may book. NULL is no rule.

ALTER TABLE telescopios ADD COLUMN duracao_max_min INTEGER CHECK (duracao_max_min BETWEEN 5 AND 1440);
ALTER TABLE telescopios ADD COLUMN antecedencia_min_min INTEGER CHECK (antecedencia_min_min BETWEEN 0 AND 527040);
ALTER TABLE telescopios ADD COLUMN cancelamento_min_min INTEGER CHECK (cancelamento_min_min BETWEEN 0 AND 527040);
ALTER TABLE telescopios ADD COLUMN horizonte_dias INTEGER CHECK (horizonte_dias BETWEEN 0 AND 3660);
-- Minutes after midnight UTC.
ALTER TABLE telescopios ADD COLUMN abre_as_min INTEGER CHECK (abre_as_min BETWEEN 0 AND 1439);
ALTER TABLE telescopios ADD COLUMN cota_ativas INTEGER CHECK (cota_ativas BETWEEN 0 AND 500);
ALTER TABLE telescopios ADD COLUMN cota_dia_min INTEGER CHECK (cota_dia_min BETWEEN 0 AND 1440);
