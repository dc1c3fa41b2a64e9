-- How a telescope's contests are decided.

ALTER TABLE telescopios ADD COLUMN disputa TEXT NOT NULL DEFAULT 'ordem' CHECK (disputa IN ('ordem', 'sorteio', 'chegada'));
