-- Superseded versions go to the data lake, a month at a time.
--
-- Which run has a month, and which files of the lake count, is known here: a run may do
-- anything to a month only in transactions that find it still named as the one that has it.

CREATE TABLE archive_months (
    month INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    lease_time INTEGER NOT NULL,
    last_part INTEGER NOT NULL
) STRICT;

-- The files of which every version was read back and found the same. `remove_time` is
-- when the last of its versions was removed from `product_versions`.
CREATE TABLE archive_parts (
    month INTEGER NOT NULL,
    part INTEGER NOT NULL,
    file_rows INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    first_product_id INTEGER NOT NULL,
    last_product_id INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    remove_time INTEGER,
    PRIMARY KEY (month, part)
) STRICT, WITHOUT ROWID;
