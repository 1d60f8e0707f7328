-- Every change keeps what was there before it, and all changes have one order.
--
-- Ids and sequences are given in Rust from the one row of `catalogue`, which every
-- write takes first: whoever has it is alone, so their order is that of commits.

CREATE TABLE catalogue (
    id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    live_products INTEGER NOT NULL
) STRICT;

INSERT INTO catalogue (id, last_id, last_sequence, live_products)
SELECT 1,
    COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'products'), 0),
    0,
    (SELECT COUNT(*) FROM products WHERE delete_time IS NULL);

-- What made the present version, by whom, in which request; 0 is older than this table.
ALTER TABLE products ADD COLUMN change_kind INTEGER NOT NULL DEFAULT 0;
ALTER TABLE products ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE products ADD COLUMN call_id TEXT NOT NULL DEFAULT '';

-- For the purge of what was deleted long ago.
CREATE INDEX products_delete_time ON products (delete_time) WHERE delete_time IS NOT NULL;

-- The versions that others followed; the present one is in `products`.
CREATE TABLE product_versions (
    product_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    sku TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER,
    end_time INTEGER NOT NULL,
    change_kind INTEGER NOT NULL,
    actor TEXT NOT NULL,
    call_id TEXT NOT NULL,
    PRIMARY KEY (product_id, version)
) STRICT, WITHOUT ROWID;

-- What happened, in the order of commits: for whoever watches.
CREATE TABLE product_changes (
    sequence INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    change_kind INTEGER NOT NULL,
    change_time INTEGER NOT NULL
) STRICT;
