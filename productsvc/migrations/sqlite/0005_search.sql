-- What searches go by: for each block of 32,768 ids and each gram of their texts, who has
-- it. Filled behind the changes, in pieces; what is not in it yet is searched in memory.

CREATE TABLE search_state (
    id INTEGER PRIMARY KEY,
    -- All changes up to this one are in it.
    indexed_sequence INTEGER NOT NULL,
    -- Blocks from this one on are in it; those before are still to be built.
    built_from INTEGER NOT NULL
) STRICT;

-- What is there already has to be built.
INSERT INTO search_state (id, indexed_sequence, built_from)
SELECT 1, last_sequence, CASE WHEN EXISTS (SELECT 1 FROM products) THEN (last_id >> 15) + 1 ELSE 0 END
FROM catalogue
WHERE id = 1;

CREATE TABLE search_postings (
    block INTEGER NOT NULL,
    gram INTEGER NOT NULL,
    ids BLOB NOT NULL,
    PRIMARY KEY (block, gram)
) STRICT, WITHOUT ROWID;

-- Words, each by itself and by what is left of it without one of its characters.
CREATE TABLE search_words (
    form TEXT NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (form, word)
) STRICT, WITHOUT ROWID;
