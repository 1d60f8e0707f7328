-- Lists in every order, each a range of one index: of products that are not deleted,
-- with the id that parts equals. SKUs have theirs, being unique.

DROP INDEX products_name_key;
DROP INDEX products_category_key;
DROP INDEX products_name_category_sku;

CREATE INDEX products_by_name ON products (name_key, id) WHERE delete_time IS NULL;
CREATE INDEX products_by_category ON products (category_key, id) WHERE delete_time IS NULL;
CREATE INDEX products_by_create_time ON products (create_time, id) WHERE delete_time IS NULL;
CREATE INDEX products_by_update_time ON products (update_time, id) WHERE delete_time IS NULL;
