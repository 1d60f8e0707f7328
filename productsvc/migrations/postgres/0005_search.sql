-- What searches go by: for each block of 32,768 ids and each gram of their texts, who has
-- it. Filled behind the changes, in pieces; what is not in it yet is searched in memory.

CREATE TABLE search_state (
    id BIGINT PRIMARY KEY,
    -- All changes up to this one are in it.
    indexed_sequence BIGINT NOT NULL,
    -- Blocks from this one on are in it; those before are still to be built.
    built_from BIGINT NOT NULL
);

-- What is there already has to be built.
INSERT INTO search_state (id, indexed_sequence, built_from)
SELECT 1, last_sequence, CASE WHEN EXISTS (SELECT 1 FROM products) THEN (last_id >> 15) + 1 ELSE 0 END
FROM catalogue
WHERE id = 1;

CREATE TABLE search_postings (
    block BIGINT NOT NULL,
    gram INTEGER NOT NULL,
    ids BYTEA NOT NULL,
    PRIMARY KEY (block, gram)
);

-- They are short already: trying to compress them takes time for nothing.
ALTER TABLE search_postings ALTER COLUMN ids SET STORAGE EXTERNAL;

-- Words, each by itself and by what is left of it without one of its characters.
CREATE TABLE search_words (
    form TEXT COLLATE "C" NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (form, word)
);
