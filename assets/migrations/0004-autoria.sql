-- Records say who asked, and from where (req_cliente, autor, ip). No table changes: a record is a line. But an older program would take such
-- a record for an altered one, so it must not open the database any more.

SELECT 1 WHERE 0;
