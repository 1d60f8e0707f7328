-- Deleted products in every order, for lists that show them: few rows, so that what
-- is not deleted pays nothing for these.

CREATE INDEX products_deleted_by_id ON products (id) WHERE delete_time IS NOT NULL;
CREATE INDEX products_deleted_by_name ON products (name_key, id) WHERE delete_time IS NOT NULL;
CREATE INDEX products_deleted_by_category ON products (category_key, id) WHERE delete_time IS NOT NULL;
CREATE INDEX products_deleted_by_sku ON products (sku_key, id) WHERE delete_time IS NOT NULL;
CREATE INDEX products_deleted_by_create_time ON products (create_time, id) WHERE delete_time IS NOT NULL;
CREATE INDEX products_deleted_by_update_time ON products (update_time, id) WHERE delete_time IS NOT NULL;
