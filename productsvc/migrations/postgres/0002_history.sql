-- Every change keeps what was there before it, and all changes have one order.
--
-- Ids and sequences are given in Rust from the one row of `catalogue`, which every
-- write takes first: whoever has it is alone, so their order is that of commits.

CREATE TABLE catalogue (
    id BIGINT NOT NULL,
    last_id BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    live_products BIGINT NOT NULL,
    CONSTRAINT catalogue_pkey PRIMARY KEY (id)
);

INSERT INTO catalogue (id, last_id, last_sequence, live_products)
SELECT 1,
    GREATEST(
        (SELECT COALESCE(MAX(id), 0) FROM products),
        (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM products_id_seq)
    ),
    0,
    (SELECT COUNT(*) FROM products WHERE delete_time IS NULL);

ALTER TABLE products ALTER COLUMN id DROP IDENTITY;

-- What made the present version, by whom, in which request; 0 is older than this table.
ALTER TABLE products ADD COLUMN change_kind BIGINT NOT NULL DEFAULT 0;
ALTER TABLE products ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE products ADD COLUMN call_id TEXT NOT NULL DEFAULT '';

-- For the purge of what was deleted long ago.
CREATE INDEX products_delete_time ON products (delete_time) WHERE delete_time IS NOT NULL;

-- The versions that others followed; the present one is in `products`.
CREATE TABLE product_versions (
    product_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    sku TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT,
    end_time BIGINT NOT NULL,
    change_kind BIGINT NOT NULL,
    actor TEXT NOT NULL,
    call_id TEXT NOT NULL,
    CONSTRAINT product_versions_pkey PRIMARY KEY (product_id, version)
);

-- What happened, in the order of commits: for whoever watches.
CREATE TABLE product_changes (
    sequence BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    change_kind BIGINT NOT NULL,
    change_time BIGINT NOT NULL,
    CONSTRAINT product_changes_pkey PRIMARY KEY (sequence)
);
