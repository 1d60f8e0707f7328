-- The tree of categories, counted with every write: what products say, by level.

CREATE TABLE categories (
    -- Folded in Rust, level by level.
    path_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- That of the category above; empty for the first level.
    parent_key TEXT COLLATE "C" NOT NULL,
    -- As it was first written.
    path TEXT NOT NULL,
    direct_products BIGINT NOT NULL,
    total_products BIGINT NOT NULL
)
-- Room for the next version of each row beside it: the counts change all the time.
WITH (fillfactor = 50);

-- For the levels one by one.
CREATE INDEX categories_by_parent ON categories (parent_key, path_key);

-- Whether the tree was counted from the products that were there before it.
ALTER TABLE catalogue ADD COLUMN categories_counted BIGINT NOT NULL DEFAULT 0;
