-- The hours in which a telescope operates: a JSON list of windows of the week (day, from_min, until_min; day 0 is Monday, minutes
-- after midnight UTC). NULL is always.

ALTER TABLE telescopios ADD COLUMN horas TEXT CHECK (horas IS NULL OR json_valid(horas));
