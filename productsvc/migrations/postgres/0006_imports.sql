-- Imports that are tried first, go on in the background, and can be undone.
--
-- `state` is a number of the service's own list; 1 is rows coming in, 5 is done.
-- `mark` moves in the transaction of each piece: the last line that is dealt with,
-- or while it is undone the first sequence of the last piece that was taken back.
-- Who works on a job in the background holds its lease: `worker` until `lease_expiry`.

ALTER TABLE import_jobs ADD COLUMN state BIGINT NOT NULL DEFAULT 1;
ALTER TABLE import_jobs ADD COLUMN import_mode BIGINT NOT NULL DEFAULT 0;
ALTER TABLE import_jobs ADD COLUMN dry_run BIGINT NOT NULL DEFAULT 0;
ALTER TABLE import_jobs ADD COLUMN only_if_new BIGINT NOT NULL DEFAULT 0;
ALTER TABLE import_jobs ADD COLUMN allow_damaged BIGINT NOT NULL DEFAULT 0;
ALTER TABLE import_jobs ADD COLUMN request_id TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE import_jobs ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE import_jobs ADD COLUMN call_id TEXT NOT NULL DEFAULT '';
ALTER TABLE import_jobs ADD COLUMN staged_rows BIGINT NOT NULL DEFAULT 0;
ALTER TABLE import_jobs ADD COLUMN undone_products BIGINT NOT NULL DEFAULT 0;
ALTER TABLE import_jobs ADD COLUMN conflicts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE import_jobs ADD COLUMN worker TEXT NOT NULL DEFAULT '';
ALTER TABLE import_jobs ADD COLUMN lease_expiry BIGINT NOT NULL DEFAULT 0;

UPDATE import_jobs SET state = 5 WHERE end_time IS NOT NULL;

CREATE INDEX import_jobs_request_id ON import_jobs (request_id) WHERE request_id <> '';
-- Jobs that someone must work on, or that are forgotten when nobody goes on with them.
CREATE INDEX import_jobs_state ON import_jobs (state);

ALTER TABLE import_refusals ADD COLUMN is_cut BIGINT NOT NULL DEFAULT 0;

-- The rows of dry runs, until they are applied; without a foreign key, which PostgreSQL
-- would look up for each of millions. `verdict` is what the row would have
-- done when it came: 1 changed something, 2 nothing, 3 was refused by what is there.
CREATE TABLE import_rows (
    job_id BIGINT NOT NULL,
    line BIGINT NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    sku TEXT NOT NULL,
    verdict BIGINT NOT NULL,
    CONSTRAINT import_rows_pkey PRIMARY KEY (job_id, line)
);

CREATE INDEX import_rows_changing ON import_rows (job_id, line) WHERE verdict = 1;

-- What an import did: its changes are those of these sequences, a row for each piece.
CREATE TABLE import_pieces (
    job_id BIGINT NOT NULL,
    first_sequence BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    CONSTRAINT import_pieces_pkey PRIMARY KEY (job_id, first_sequence),
    CONSTRAINT import_pieces_job FOREIGN KEY (job_id) REFERENCES import_jobs (id)
);

-- Products that an undoing left alone.
CREATE TABLE import_conflicts (
    job_id BIGINT NOT NULL,
    product_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT import_conflicts_pkey PRIMARY KEY (job_id, product_id),
    CONSTRAINT import_conflicts_job FOREIGN KEY (job_id) REFERENCES import_jobs (id)
);
