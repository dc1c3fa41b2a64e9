-- Entries of waiting lists by telescope, and by what has become of them: a list of them reads no others.

CREATE INDEX esperas_por_telescopio ON esperas (telescopio_id, id);
CREATE INDEX esperas_por_status ON esperas (status, id);
