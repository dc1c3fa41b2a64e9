-- How a telescope's contests are decided (as SQLite's migration 0018).
ALTER TABLE telescopios ADD COLUMN disputa TEXT NOT NULL DEFAULT 'ordem' CHECK (disputa IN ('ordem', 'sorteio', 'chegada'));
