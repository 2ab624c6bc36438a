// Categories, products (SPU) and what is sold of them (SKU), and the cache invalidations still due.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

export const up: readonly string[] = [
  `CREATE TABLE categories (
    id BIGINT UNSIGNED NOT NULL,
    name VARCHAR(200) NOT NULL,
    parent_id BIGINT UNSIGNED NULL,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    KEY categories_parent (parent_id),
    CONSTRAINT categories_parent_known FOREIGN KEY (parent_id) REFERENCES categories (id)
  ) ${TABLE}`,

  // One row, locked by whoever changes the tree: two moves at once could close a circle that
  // neither of them sees.
  `CREATE TABLE category_tree (
    id TINYINT UNSIGNED NOT NULL,
    PRIMARY KEY (id)
  ) ${TABLE}`,
  "INSERT INTO category_tree (id) VALUES (1)",

  // price is the lowest of the product's SKUs, kept here for the sort. Each list order has an index
  // that ends in id, so that equal keys keep one order over the pages.
  `CREATE TABLE products (
    id BIGINT UNSIGNED NOT NULL,
    name VARCHAR(200) NOT NULL,
    description TEXT NOT NULL,
    category_id BIGINT UNSIGNED NULL,
    price BIGINT NOT NULL,
    status VARCHAR(12) ${ASCII} NOT NULL,
    version INT UNSIGNED NOT NULL,
    created_at DATETIME(3) NOT NULL,
    updated_at DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    KEY products_newest (status, created_at, id),
    KEY products_price (status, price, id),
    KEY products_name (status, name, id),
    KEY products_category_newest (category_id, status, created_at, id),
    KEY products_category_price (category_id, status, price, id),
    KEY products_created (created_at, id),
    CONSTRAINT products_category_known FOREIGN KEY (category_id) REFERENCES categories (id),
    CONSTRAINT products_status_known CHECK (status IN ('listed', 'unlisted')),
    CONSTRAINT products_price_positive CHECK (price > 0),
    CONSTRAINT products_version_positive CHECK (version > 0)
  ) ${TABLE}`,

  // attributes: JSON text of an object of strings. position keeps the order they were given in.
  `CREATE TABLE skus (
    id BIGINT UNSIGNED NOT NULL,
    product_id BIGINT UNSIGNED NOT NULL,
    position SMALLINT UNSIGNED NOT NULL,
    attributes TEXT NOT NULL,
    price BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY skus_of_product (product_id, position),
    CONSTRAINT skus_product_known FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT skus_price_positive CHECK (price > 0)
  ) ${TABLE}`,

  // The second delete of a changed product: a row, so that a crash cannot forget it.
  `CREATE TABLE cache_invalidations (
    product_id BIGINT UNSIGNED NOT NULL,
    version INT UNSIGNED NOT NULL,
    due_at DATETIME(3) NOT NULL,
    PRIMARY KEY (product_id),
    KEY cache_invalidations_due (due_at)
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS cache_invalidations",
  "DROP TABLE IF EXISTS skus",
  "DROP TABLE IF EXISTS products",
  "DROP TABLE IF EXISTS category_tree",
  "DROP TABLE IF EXISTS categories",
];
