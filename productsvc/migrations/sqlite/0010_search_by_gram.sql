-- The lists of a gram lie together, and each is of 262,144 ids instead of 32,768: a search
-- among millions reads a few of them in one go, instead of thousands one by one.

DROP TABLE search_postings;

CREATE TABLE search_postings (
    gram INTEGER NOT NULL,
    block INTEGER NOT NULL,
    ids BLOB NOT NULL,
    PRIMARY KEY (gram, block)
) STRICT, WITHOUT ROWID;

-- All has to be built anew.
UPDATE search_state
SET indexed_sequence = (SELECT last_sequence FROM catalogue WHERE id = 1),
    built_from = (SELECT CASE WHEN last_id > 0 THEN (last_id >> 18) + 1 ELSE 0 END FROM catalogue WHERE id = 1);
