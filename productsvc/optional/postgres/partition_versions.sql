-- Parts `product_versions` by the month in which versions ended, so that an archived
-- month is dropped instead of deleted row by row.
--
-- Optional, and only for PostgreSQL. `productsvc partition` runs this file; so may anyone
-- else, as `psql --single-transaction --set=ON_ERROR_STOP=1 --file partition_versions.sql`
-- after the product service has made its tables. It copies the table while it holds it:
-- whoever writes or reads versions waits that long, which is about a minute for ten
-- million versions. There must be room for a second copy.
--
-- The product service makes the partitions of the months to come. What belongs to no
-- partition lands in the default one, and is archived like a table that is not
-- partitioned. Run twice it changes nothing.

DO $$
DECLARE
    first_month TIMESTAMP;
    last_month TIMESTAMP;
    this_month TIMESTAMP;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'product_versions'::regclass) = 'p' THEN
        RETURN;
    END IF;
    LOCK TABLE product_versions IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE product_versions RENAME TO product_versions_whole;
    ALTER TABLE product_versions_whole RENAME CONSTRAINT product_versions_pkey TO product_versions_whole_pkey;

    CREATE TABLE product_versions (LIKE product_versions_whole INCLUDING DEFAULTS) PARTITION BY RANGE (end_time);
    -- A primary key must have the column that the table is partitioned by. That a product
    -- has each version once is the ledger's business, with or without it.
    ALTER TABLE product_versions
        ADD CONSTRAINT product_versions_pkey PRIMARY KEY (product_id, version, end_time);
    CREATE TABLE product_versions_default PARTITION OF product_versions DEFAULT;

    SELECT date_trunc('month', to_timestamp(MIN(end_time) / 1000000) AT TIME ZONE 'UTC')
    INTO first_month
    FROM product_versions_whole;
    this_month := date_trunc('month', now() AT TIME ZONE 'UTC');
    last_month := this_month + INTERVAL '3 months';
    FOR this_month IN
        SELECT generate_series(LEAST(COALESCE(first_month, this_month), this_month), last_month, INTERVAL '1 month')
    LOOP
        EXECUTE format(
            'CREATE TABLE product_versions_%s PARTITION OF product_versions FOR VALUES FROM (%s) TO (%s)',
            to_char(this_month, 'YYYY_MM'),
            (EXTRACT(EPOCH FROM this_month) * 1000000)::BIGINT,
            (EXTRACT(EPOCH FROM this_month + INTERVAL '1 month') * 1000000)::BIGINT
        );
    END LOOP;

    INSERT INTO product_versions SELECT * FROM product_versions_whole;
    DROP TABLE product_versions_whole;
END
$$;

ANALYZE product_versions;
