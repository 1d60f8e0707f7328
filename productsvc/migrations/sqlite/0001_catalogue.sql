-- The catalogue begins: products, the writes that were answered, and imports.
--
-- Keys are folded in Rust, so that both databases compare and order the same
-- bytes. Moments are microseconds since 1970 UTC. Ids are never used again
-- (AUTOINCREMENT): a link to a deleted product must not show another one.

CREATE TABLE products (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    sku TEXT NOT NULL,
    name_key TEXT NOT NULL,
    category_key TEXT NOT NULL,
    sku_key TEXT NOT NULL,
    version INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER
) STRICT;

-- A SKU is unique among products that are not deleted.
CREATE UNIQUE INDEX products_sku_key_live ON products (sku_key) WHERE delete_time IS NULL;
-- The first Rundoo's indexes; SKU has the one above.
CREATE INDEX products_name_key ON products (name_key);
CREATE INDEX products_category_key ON products (category_key);
CREATE INDEX products_name_category_sku ON products (name_key, category_key, sku_key);

-- What a write with a request id was answered, so that repeating it repeats that.
CREATE TABLE write_requests (
    request_id TEXT NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    response BLOB NOT NULL,
    create_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For the purge of old ones.
CREATE INDEX write_requests_create_time ON write_requests (create_time);

-- Imports. `mark` is the last line that is dealt with: it moves in the
-- transaction that stores the rows, so that an import goes on exactly there.
CREATE TABLE import_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    mark INTEGER NOT NULL,
    total_rows INTEGER NOT NULL,
    created_rows INTEGER NOT NULL,
    updated_rows INTEGER NOT NULL,
    unchanged_rows INTEGER NOT NULL,
    refused_rows INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    end_time INTEGER
) STRICT;

-- The rows that imports refused, in the order of the file.
CREATE TABLE import_refusals (
    job_id INTEGER NOT NULL,
    line INTEGER NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    sku TEXT NOT NULL,
    field TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (job_id, line),
    CONSTRAINT import_refusals_job FOREIGN KEY (job_id) REFERENCES import_jobs (id)
) STRICT, WITHOUT ROWID;
