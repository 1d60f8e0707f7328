-- Deleted products in every order, for lists that show them: few rows, so that what
-- is not deleted pays nothing for these.
--
-- Each index says in its own words that a product is deleted, and a list repeats the
-- words of its order's: no other index fits then. Until PostgreSQL analyses the table
-- it takes deleted products for one or two, and would sort all of them for each page.

CREATE INDEX products_deleted_by_id ON products (id) WHERE COALESCE(delete_time, -1) >= 0;
CREATE INDEX products_deleted_by_name ON products (name_key, id) WHERE COALESCE(delete_time, -2) >= 0;
CREATE INDEX products_deleted_by_category ON products (category_key, id) WHERE COALESCE(delete_time, -3) >= 0;
CREATE INDEX products_deleted_by_sku ON products (sku_key, id) WHERE COALESCE(delete_time, -4) >= 0;
CREATE INDEX products_deleted_by_create_time ON products (create_time, id) WHERE COALESCE(delete_time, -5) >= 0;
CREATE INDEX products_deleted_by_update_time ON products (update_time, id) WHERE COALESCE(delete_time, -6) >= 0;
