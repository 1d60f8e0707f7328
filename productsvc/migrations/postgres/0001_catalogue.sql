-- The catalogue begins: products, the writes that were answered, and imports.
--
-- Keys are folded in Rust and compared byte by byte (COLLATE "C"), so that both
-- databases order alike and no upgrade of the system's collations moves a row.
-- Moments are microseconds since 1970 UTC. Ids are never used again (IDENTITY):
-- a link to a deleted product must not show another one.

CREATE TABLE products (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    sku TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    category_key TEXT COLLATE "C" NOT NULL,
    sku_key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT,
    CONSTRAINT products_pkey PRIMARY KEY (id)
);

-- A SKU is unique among products that are not deleted.
CREATE UNIQUE INDEX products_sku_key_live ON products (sku_key) WHERE delete_time IS NULL;
-- The first Rundoo's indexes; SKU has the one above.
CREATE INDEX products_name_key ON products (name_key);
CREATE INDEX products_category_key ON products (category_key);
CREATE INDEX products_name_category_sku ON products (name_key, category_key, sku_key);

-- What a write with a request id was answered, so that repeating it repeats that.
CREATE TABLE write_requests (
    request_id TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    response BYTEA NOT NULL,
    create_time BIGINT NOT NULL,
    CONSTRAINT write_requests_pkey PRIMARY KEY (request_id)
);

-- For the purge of old ones.
CREATE INDEX write_requests_create_time ON write_requests (create_time);

-- Imports. `mark` is the last line that is dealt with: it moves in the
-- transaction that stores the rows, so that an import goes on exactly there.
CREATE TABLE import_jobs (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    source TEXT NOT NULL,
    mark BIGINT NOT NULL,
    total_rows BIGINT NOT NULL,
    created_rows BIGINT NOT NULL,
    updated_rows BIGINT NOT NULL,
    unchanged_rows BIGINT NOT NULL,
    refused_rows BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    end_time BIGINT,
    CONSTRAINT import_jobs_pkey PRIMARY KEY (id)
);

-- The rows that imports refused, in the order of the file.
CREATE TABLE import_refusals (
    job_id BIGINT NOT NULL,
    line BIGINT NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    sku TEXT NOT NULL,
    field TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    CONSTRAINT import_refusals_pkey PRIMARY KEY (job_id, line),
    CONSTRAINT import_refusals_job FOREIGN KEY (job_id) REFERENCES import_jobs (id)
);
