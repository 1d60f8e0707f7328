-- Superseded versions go to the data lake, a month at a time.
--
-- Which run has a month, and which files of the lake count, is known here: a run may do
-- anything to a month only in transactions that find it still named as the one that has it.

CREATE TABLE archive_months (
    month BIGINT NOT NULL,
    run TEXT COLLATE "C" NOT NULL,
    lease_time BIGINT NOT NULL,
    last_part BIGINT NOT NULL,
    CONSTRAINT archive_months_pkey PRIMARY KEY (month)
);

-- The files of which every version was read back and found the same. `remove_time` is
-- when the last of its versions was removed from `product_versions`.
CREATE TABLE archive_parts (
    month BIGINT NOT NULL,
    part BIGINT NOT NULL,
    file_rows BIGINT NOT NULL,
    file_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    first_product_id BIGINT NOT NULL,
    last_product_id BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    remove_time BIGINT,
    CONSTRAINT archive_parts_pkey PRIMARY KEY (month, part)
);
