-- Every table of every schema after all migrations, as MariaDB describes them. For reading and for
-- reviews: `node migrations/migrate.ts` makes them, `npm run schema` writes this file.

-- Schema user

CREATE TABLE `addresses` (
  `id` bigint(20) unsigned NOT NULL,
  `user_id` bigint(20) unsigned NOT NULL,
  `recipient` varchar(100) NOT NULL,
  `phone` varchar(32) NOT NULL,
  `country` char(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `region` varchar(100) NOT NULL,
  `city` varchar(100) NOT NULL,
  `street` varchar(200) NOT NULL,
  `postal_code` varchar(20) NOT NULL,
  `default_of` bigint(20) unsigned DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `addresses_one_default` (`default_of`),
  KEY `addresses_user` (`user_id`,`created_at`,`id`),
  CONSTRAINT `addresses_default_is_owner` CHECK (`default_of` is null or `default_of` = `user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `address_books` (
  `user_id` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `dead_letters` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payload` mediumtext NOT NULL,
  `headers` text NOT NULL,
  `error` text NOT NULL,
  `tries` int(10) unsigned NOT NULL,
  `status` varchar(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `resolved_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `dead_letters_once` (`consumer`,`event_id`),
  KEY `dead_letters_status` (`status`,`id`),
  CONSTRAINT `dead_letters_status_known` CHECK (`status` in ('open','replayed','discarded'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idempotency_keys` (
  `user_id` bigint(20) unsigned NOT NULL,
  `route` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `idempotency_key` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `fingerprint` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `state` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reference` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `answer` mediumtext DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `expires_at` datetime(3) NOT NULL,
  PRIMARY KEY (`user_id`,`route`,`idempotency_key`),
  KEY `idempotency_keys_expiry` (`expires_at`),
  CONSTRAINT `idempotency_keys_state_known` CHECK (`state` in ('running','done')),
  CONSTRAINT `idempotency_keys_answered` CHECK (`state` = 'done' = (`answer` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `inbox` (
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `received_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`consumer`,`event_id`),
  KEY `inbox_received` (`received_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `leases` (
  `name` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `lease_until` datetime(3) NOT NULL,
  `fence` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `login_throttles` (
  `scope` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `failures` int(10) unsigned NOT NULL,
  `window_ends_at` datetime(3) NOT NULL,
  PRIMARY KEY (`scope`),
  KEY `login_throttles_end` (`window_ends_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `mails` (
  `id` bigint(20) unsigned NOT NULL,
  `recipient` varchar(254) NOT NULL,
  `subject` varchar(200) NOT NULL,
  `body` text NOT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  KEY `mails_age` (`created_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `outbox` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `aggregate_id` bigint(20) unsigned NOT NULL,
  `aggregate_version` int(10) unsigned NOT NULL,
  `payload` mediumtext NOT NULL,
  `traceparent` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `trace_links` varchar(1024) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `request_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `claimed_until` datetime(3) DEFAULT NULL,
  `published_at` datetime(3) DEFAULT NULL,
  `publish_count` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `outbox_unpublished` (`published_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `password_resets` (
  `token_hash` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `user_id` bigint(20) unsigned DEFAULT NULL,
  `created_at` datetime(3) NOT NULL,
  `expires_at` datetime(3) NOT NULL,
  `used_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`token_hash`),
  KEY `password_resets_user` (`user_id`,`created_at`),
  KEY `password_resets_expiry` (`expires_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `refresh_families` (
  `id` bigint(20) unsigned NOT NULL,
  `user_id` bigint(20) unsigned NOT NULL,
  `created_at` datetime(3) NOT NULL,
  `last_issued_at` datetime(3) NOT NULL,
  `expires_at` datetime(3) NOT NULL,
  `revoked_at` datetime(3) DEFAULT NULL,
  `revoked_reason` varchar(20) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `refresh_families_user` (`user_id`,`revoked_at`,`id`),
  KEY `refresh_families_expiry` (`expires_at`),
  CONSTRAINT `refresh_families_reason_known` CHECK (`revoked_reason` in ('logout','reuse','password','too_many')),
  CONSTRAINT `refresh_families_revoked` CHECK (`revoked_at` is null = (`revoked_reason` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `refresh_tokens` (
  `token_hash` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `family_id` bigint(20) unsigned NOT NULL,
  `parent_hash` char(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL,
  `spent_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`token_hash`),
  KEY `refresh_tokens_family` (`family_id`),
  KEY `refresh_tokens_parent` (`parent_hash`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `revocations` (
  `seq` bigint(20) unsigned NOT NULL,
  `family_id` bigint(20) unsigned DEFAULT NULL,
  `user_id` bigint(20) unsigned DEFAULT NULL,
  `revoked_at` datetime(3) NOT NULL,
  PRIMARY KEY (`seq`),
  KEY `revocations_age` (`revoked_at`),
  CONSTRAINT `revocations_names_one` CHECK (`family_id` is null <> (`user_id` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `revocation_counter` (
  `id` tinyint(3) unsigned NOT NULL,
  `seq` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sagas` (
  `id` bigint(20) unsigned NOT NULL,
  `type` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `log` text NOT NULL,
  `context` mediumtext NOT NULL,
  `version` int(10) unsigned NOT NULL DEFAULT 1,
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `last_error` varchar(500) DEFAULT NULL,
  `lease_owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `lease_until` datetime(3) DEFAULT NULL,
  `next_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`type`,`id`),
  KEY `sagas_ended` (`next_at`,`updated_at`),
  CONSTRAINT `sagas_status_known` CHECK (`status` in ('running','compensating','done','compensated')),
  CONSTRAINT `sagas_finished` CHECK (`status` in ('done','compensated') = (`next_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `users` (
  `id` bigint(20) unsigned NOT NULL,
  `email` varchar(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `nickname` varchar(50) DEFAULT NULL,
  `role` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `password_hash` varchar(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `users_email` (`email`),
  CONSTRAINT `users_role_known` CHECK (`role` in ('customer','admin'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `worker_leases` (
  `worker_id` smallint(5) unsigned NOT NULL,
  `owner` varchar(128) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `lease_until` datetime(3) NOT NULL DEFAULT '1970-01-01 00:00:01.000',
  `floor_ms` bigint(20) unsigned NOT NULL DEFAULT 0,
  `high_water_ms` bigint(20) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`worker_id`),
  UNIQUE KEY `worker_leases_owner` (`owner`),
  KEY `worker_leases_end` (`lease_until`,`worker_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Schema product

CREATE TABLE `cache_invalidations` (
  `product_id` bigint(20) unsigned NOT NULL,
  `version` int(10) unsigned NOT NULL,
  `due_at` datetime(3) NOT NULL,
  PRIMARY KEY (`product_id`),
  KEY `cache_invalidations_due` (`due_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `categories` (
  `id` bigint(20) unsigned NOT NULL,
  `name` varchar(200) NOT NULL,
  `parent_id` bigint(20) unsigned DEFAULT NULL,
  `position` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `categories_parent` (`parent_id`),
  CONSTRAINT `categories_parent_known` FOREIGN KEY (`parent_id`) REFERENCES `categories` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `category_tree` (
  `id` tinyint(3) unsigned NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `dead_letters` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payload` mediumtext NOT NULL,
  `headers` text NOT NULL,
  `error` text NOT NULL,
  `tries` int(10) unsigned NOT NULL,
  `status` varchar(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `resolved_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `dead_letters_once` (`consumer`,`event_id`),
  KEY `dead_letters_status` (`status`,`id`),
  CONSTRAINT `dead_letters_status_known` CHECK (`status` in ('open','replayed','discarded'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idempotency_keys` (
  `user_id` bigint(20) unsigned NOT NULL,
  `route` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `idempotency_key` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `fingerprint` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `state` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reference` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `answer` mediumtext DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `expires_at` datetime(3) NOT NULL,
  PRIMARY KEY (`user_id`,`route`,`idempotency_key`),
  KEY `idempotency_keys_expiry` (`expires_at`),
  CONSTRAINT `idempotency_keys_state_known` CHECK (`state` in ('running','done')),
  CONSTRAINT `idempotency_keys_answered` CHECK (`state` = 'done' = (`answer` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `inbox` (
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `received_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`consumer`,`event_id`),
  KEY `inbox_received` (`received_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `leases` (
  `name` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `lease_until` datetime(3) NOT NULL,
  `fence` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `outbox` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `aggregate_id` bigint(20) unsigned NOT NULL,
  `aggregate_version` int(10) unsigned NOT NULL,
  `payload` mediumtext NOT NULL,
  `traceparent` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `trace_links` varchar(1024) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `request_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `claimed_until` datetime(3) DEFAULT NULL,
  `published_at` datetime(3) DEFAULT NULL,
  `publish_count` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `outbox_unpublished` (`published_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `products` (
  `id` bigint(20) unsigned NOT NULL,
  `name` varchar(200) NOT NULL,
  `description` text NOT NULL,
  `category_id` bigint(20) unsigned DEFAULT NULL,
  `price` bigint(20) NOT NULL,
  `status` varchar(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `version` int(10) unsigned NOT NULL,
  `created_at` datetime(3) NOT NULL,
  `updated_at` datetime(3) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `products_newest` (`status`,`created_at`,`id`),
  KEY `products_price` (`status`,`price`,`id`),
  KEY `products_name` (`status`,`name`,`id`),
  KEY `products_category_newest` (`category_id`,`status`,`created_at`,`id`),
  KEY `products_category_price` (`category_id`,`status`,`price`,`id`),
  KEY `products_created` (`created_at`,`id`),
  CONSTRAINT `products_category_known` FOREIGN KEY (`category_id`) REFERENCES `categories` (`id`),
  CONSTRAINT `products_status_known` CHECK (`status` in ('listed','unlisted')),
  CONSTRAINT `products_price_positive` CHECK (`price` > 0),
  CONSTRAINT `products_version_positive` CHECK (`version` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sagas` (
  `id` bigint(20) unsigned NOT NULL,
  `type` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `log` text NOT NULL,
  `context` mediumtext NOT NULL,
  `version` int(10) unsigned NOT NULL DEFAULT 1,
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `last_error` varchar(500) DEFAULT NULL,
  `lease_owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `lease_until` datetime(3) DEFAULT NULL,
  `next_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`type`,`id`),
  KEY `sagas_ended` (`next_at`,`updated_at`),
  CONSTRAINT `sagas_status_known` CHECK (`status` in ('running','compensating','done','compensated')),
  CONSTRAINT `sagas_finished` CHECK (`status` in ('done','compensated') = (`next_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `skus` (
  `id` bigint(20) unsigned NOT NULL,
  `product_id` bigint(20) unsigned NOT NULL,
  `position` smallint(5) unsigned NOT NULL,
  `attributes` text NOT NULL,
  `price` bigint(20) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `skus_of_product` (`product_id`,`position`),
  CONSTRAINT `skus_product_known` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`),
  CONSTRAINT `skus_price_positive` CHECK (`price` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Schema inventory

CREATE TABLE `allotments` (
  `sale_id` bigint(20) unsigned NOT NULL,
  `attempt` int(10) unsigned NOT NULL,
  `sku_id` bigint(20) unsigned NOT NULL,
  `quantity` int(11) NOT NULL,
  `status` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `returned` int(11) NOT NULL DEFAULT 0,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `closed_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`sale_id`,`attempt`),
  CONSTRAINT `allotments_status_known` CHECK (`status` in ('allotted','refused','closed')),
  CONSTRAINT `allotments_quantity_positive` CHECK (`quantity` >= 1),
  CONSTRAINT `allotments_returned_bounded` CHECK (`returned` between 0 and `quantity`),
  CONSTRAINT `allotments_closed_when` CHECK (`status` = 'closed' = (`closed_at` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `dead_letters` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payload` mediumtext NOT NULL,
  `headers` text NOT NULL,
  `error` text NOT NULL,
  `tries` int(10) unsigned NOT NULL,
  `status` varchar(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `resolved_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `dead_letters_once` (`consumer`,`event_id`),
  KEY `dead_letters_status` (`status`,`id`),
  CONSTRAINT `dead_letters_status_known` CHECK (`status` in ('open','replayed','discarded'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idempotency_keys` (
  `user_id` bigint(20) unsigned NOT NULL,
  `route` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `idempotency_key` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `fingerprint` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `state` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reference` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `answer` mediumtext DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `expires_at` datetime(3) NOT NULL,
  PRIMARY KEY (`user_id`,`route`,`idempotency_key`),
  KEY `idempotency_keys_expiry` (`expires_at`),
  CONSTRAINT `idempotency_keys_state_known` CHECK (`state` in ('running','done')),
  CONSTRAINT `idempotency_keys_answered` CHECK (`state` = 'done' = (`answer` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `inbox` (
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `received_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`consumer`,`event_id`),
  KEY `inbox_received` (`received_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `leases` (
  `name` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `lease_until` datetime(3) NOT NULL,
  `fence` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `outbox` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `aggregate_id` bigint(20) unsigned NOT NULL,
  `aggregate_version` int(10) unsigned NOT NULL,
  `payload` mediumtext NOT NULL,
  `traceparent` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `trace_links` varchar(1024) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `request_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `claimed_until` datetime(3) DEFAULT NULL,
  `published_at` datetime(3) DEFAULT NULL,
  `publish_count` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `outbox_unpublished` (`published_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `reservations` (
  `order_id` bigint(20) unsigned NOT NULL,
  `status` varchar(9) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`order_id`),
  KEY `reservations_status` (`status`,`created_at`),
  CONSTRAINT `reservations_status_known` CHECK (`status` in ('held','committed','released'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `reservation_lines` (
  `order_id` bigint(20) unsigned NOT NULL,
  `sku_id` bigint(20) unsigned NOT NULL,
  `quantity` int(11) NOT NULL,
  PRIMARY KEY (`order_id`,`sku_id`),
  CONSTRAINT `reservation_lines_quantity_positive` CHECK (`quantity` >= 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sagas` (
  `id` bigint(20) unsigned NOT NULL,
  `type` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `log` text NOT NULL,
  `context` mediumtext NOT NULL,
  `version` int(10) unsigned NOT NULL DEFAULT 1,
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `last_error` varchar(500) DEFAULT NULL,
  `lease_owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `lease_until` datetime(3) DEFAULT NULL,
  `next_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`type`,`id`),
  KEY `sagas_ended` (`next_at`,`updated_at`),
  CONSTRAINT `sagas_status_known` CHECK (`status` in ('running','compensating','done','compensated')),
  CONSTRAINT `sagas_finished` CHECK (`status` in ('done','compensated') = (`next_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `stock` (
  `sku_id` bigint(20) unsigned NOT NULL,
  `available` int(11) NOT NULL,
  `reserved` int(11) NOT NULL,
  `allotted` int(11) NOT NULL,
  `safety_stock` int(11) NOT NULL,
  `version` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`sku_id`),
  CONSTRAINT `stock_available_not_negative` CHECK (`available` >= 0),
  CONSTRAINT `stock_reserved_not_negative` CHECK (`reserved` >= 0),
  CONSTRAINT `stock_allotted_not_negative` CHECK (`allotted` >= 0),
  CONSTRAINT `stock_safety_stock_not_negative` CHECK (`safety_stock` >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `stock_movements` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `sku_id` bigint(20) unsigned NOT NULL,
  `kind` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `available_delta` int(11) NOT NULL,
  `reserved_delta` int(11) NOT NULL,
  `allotted_delta` int(11) NOT NULL,
  `cause_type` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `cause_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reason` varchar(200) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `stock_movements_once` (`cause_type`,`cause_id`,`kind`,`sku_id`),
  KEY `stock_movements_sku` (`sku_id`,`id`),
  CONSTRAINT `stock_movements_kind_known` CHECK (`kind` in ('receipt','adjustment','reserve','release','commit','restock','allot','return')),
  CONSTRAINT `stock_movements_cause_known` CHECK (`cause_type` in ('opening','admin','order','sale'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Schema order

CREATE TABLE `dead_letters` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payload` mediumtext NOT NULL,
  `headers` text NOT NULL,
  `error` text NOT NULL,
  `tries` int(10) unsigned NOT NULL,
  `status` varchar(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `resolved_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `dead_letters_once` (`consumer`,`event_id`),
  KEY `dead_letters_status` (`status`,`id`),
  CONSTRAINT `dead_letters_status_known` CHECK (`status` in ('open','replayed','discarded'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idempotency_keys` (
  `user_id` bigint(20) unsigned NOT NULL,
  `route` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `idempotency_key` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `fingerprint` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `state` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reference` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `answer` mediumtext DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `expires_at` datetime(3) NOT NULL,
  PRIMARY KEY (`user_id`,`route`,`idempotency_key`),
  KEY `idempotency_keys_expiry` (`expires_at`),
  CONSTRAINT `idempotency_keys_state_known` CHECK (`state` in ('running','done')),
  CONSTRAINT `idempotency_keys_answered` CHECK (`state` = 'done' = (`answer` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `inbox` (
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `received_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`consumer`,`event_id`),
  KEY `inbox_received` (`received_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `leases` (
  `name` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `lease_until` datetime(3) NOT NULL,
  `fence` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `orders` (
  `id` bigint(20) unsigned NOT NULL,
  `user_id` bigint(20) unsigned NOT NULL,
  `status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `version` int(10) unsigned NOT NULL,
  `total_price` bigint(20) NOT NULL,
  `discount` bigint(20) NOT NULL,
  `refunded_amount` bigint(20) NOT NULL,
  `currency` char(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `address` text DEFAULT NULL,
  `note` varchar(500) DEFAULT NULL,
  `sale_id` bigint(20) unsigned DEFAULT NULL,
  `cancel_reason` varchar(32) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `payment_id` bigint(20) unsigned DEFAULT NULL,
  `expires_at` datetime(3) DEFAULT NULL,
  `paid_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  KEY `orders_user_created` (`user_id`,`created_at`,`id`),
  KEY `orders_user_total` (`user_id`,`total_price`,`id`),
  KEY `orders_status_created` (`status`,`created_at`,`id`),
  KEY `orders_created` (`created_at`,`id`),
  KEY `orders_total` (`total_price`,`id`),
  KEY `orders_due` (`status`,`expires_at`),
  KEY `orders_sale_money` (`sale_id`,`status`,`total_price`,`refunded_amount`),
  CONSTRAINT `orders_status_known` CHECK (`status` in ('placing','failed','pending_payment','closing','paid','cancelled','shipped','completed','refunded')),
  CONSTRAINT `orders_total_price_positive` CHECK (`total_price` >= 1),
  CONSTRAINT `orders_discount_not_negative` CHECK (`discount` >= 0),
  CONSTRAINT `orders_refund_bounded` CHECK (`refunded_amount` between 0 and `total_price`),
  CONSTRAINT `orders_shown_expire` CHECK (`status` in ('placing','failed') or `expires_at` is not null),
  CONSTRAINT `orders_paid_by` CHECK (`payment_id` is not null = `status` in ('paid','shipped','completed','refunded')),
  CONSTRAINT `orders_paid_when` CHECK (`payment_id` is null = (`paid_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `order_events` (
  `order_id` bigint(20) unsigned NOT NULL,
  `version` int(10) unsigned NOT NULL,
  `from_status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `to_status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reason` varchar(32) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `actor` varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`order_id`,`version`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `order_items` (
  `order_id` bigint(20) unsigned NOT NULL,
  `line` tinyint(3) unsigned NOT NULL,
  `sku_id` bigint(20) unsigned NOT NULL,
  `product_id` bigint(20) unsigned NOT NULL,
  `name` varchar(4000) NOT NULL,
  `quantity` int(10) unsigned NOT NULL,
  `price` bigint(20) NOT NULL,
  PRIMARY KEY (`order_id`,`line`),
  CONSTRAINT `order_items_quantity_positive` CHECK (`quantity` >= 1),
  CONSTRAINT `order_items_price_positive` CHECK (`price` >= 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `outbox` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `aggregate_id` bigint(20) unsigned NOT NULL,
  `aggregate_version` int(10) unsigned NOT NULL,
  `payload` mediumtext NOT NULL,
  `traceparent` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `trace_links` varchar(1024) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `request_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `claimed_until` datetime(3) DEFAULT NULL,
  `published_at` datetime(3) DEFAULT NULL,
  `publish_count` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `outbox_unpublished` (`published_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sagas` (
  `id` bigint(20) unsigned NOT NULL,
  `type` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `log` text NOT NULL,
  `context` mediumtext NOT NULL,
  `version` int(10) unsigned NOT NULL DEFAULT 1,
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `last_error` varchar(500) DEFAULT NULL,
  `lease_owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `lease_until` datetime(3) DEFAULT NULL,
  `next_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`type`,`id`),
  KEY `sagas_ended` (`next_at`,`updated_at`),
  CONSTRAINT `sagas_status_known` CHECK (`status` in ('running','compensating','done','compensated')),
  CONSTRAINT `sagas_finished` CHECK (`status` in ('done','compensated') = (`next_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Schema payment

CREATE TABLE `callbacks` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `channel` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `webhook_id` varchar(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payment_id` bigint(20) unsigned NOT NULL,
  `source` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `outcome` varchar(9) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `amount` bigint(20) NOT NULL,
  `provider_ref` varchar(128) NOT NULL,
  `payload_hash` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `received_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `applied_at` datetime(3) DEFAULT NULL,
  `effect` varchar(9) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `callbacks_once` (`channel`,`webhook_id`),
  KEY `callbacks_payment` (`payment_id`,`applied_at`),
  KEY `callbacks_unapplied` (`applied_at`,`received_at`),
  CONSTRAINT `callbacks_source_known` CHECK (`source` in ('provider','query')),
  CONSTRAINT `callbacks_outcome_known` CHECK (`outcome` in ('succeeded','failed')),
  CONSTRAINT `callbacks_effect_known` CHECK (`effect` in ('captured','late','duplicate','failed','ignored')),
  CONSTRAINT `callbacks_applied` CHECK (`applied_at` is null = (`effect` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `dead_letters` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payload` mediumtext NOT NULL,
  `headers` text NOT NULL,
  `error` text NOT NULL,
  `tries` int(10) unsigned NOT NULL,
  `status` varchar(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `resolved_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `dead_letters_once` (`consumer`,`event_id`),
  KEY `dead_letters_status` (`status`,`id`),
  CONSTRAINT `dead_letters_status_known` CHECK (`status` in ('open','replayed','discarded'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idempotency_keys` (
  `user_id` bigint(20) unsigned NOT NULL,
  `route` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `idempotency_key` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `fingerprint` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `state` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reference` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `answer` mediumtext DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `expires_at` datetime(3) NOT NULL,
  PRIMARY KEY (`user_id`,`route`,`idempotency_key`),
  KEY `idempotency_keys_expiry` (`expires_at`),
  CONSTRAINT `idempotency_keys_state_known` CHECK (`state` in ('running','done')),
  CONSTRAINT `idempotency_keys_answered` CHECK (`state` = 'done' = (`answer` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `inbox` (
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `received_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`consumer`,`event_id`),
  KEY `inbox_received` (`received_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `leases` (
  `name` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `lease_until` datetime(3) NOT NULL,
  `fence` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `ledger_entries` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `cause_type` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `cause_id` bigint(20) unsigned NOT NULL,
  `account` varchar(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `amount` bigint(20) NOT NULL,
  `payment_id` bigint(20) unsigned NOT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `ledger_entries_once` (`cause_type`,`cause_id`,`account`),
  KEY `ledger_entries_payment` (`payment_id`),
  CONSTRAINT `ledger_entries_cause_known` CHECK (`cause_type` in ('capture','refund')),
  CONSTRAINT `ledger_entries_account_known` CHECK (`account` in ('provider_receivable','order_revenue','refunds','refunds_payable')),
  CONSTRAINT `ledger_entries_not_zero` CHECK (`amount` <> 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `outbox` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `aggregate_id` bigint(20) unsigned NOT NULL,
  `aggregate_version` int(10) unsigned NOT NULL,
  `payload` mediumtext NOT NULL,
  `traceparent` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `trace_links` varchar(1024) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `request_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `claimed_until` datetime(3) DEFAULT NULL,
  `published_at` datetime(3) DEFAULT NULL,
  `publish_count` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `outbox_unpublished` (`published_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `payments` (
  `id` bigint(20) unsigned NOT NULL,
  `order_id` bigint(20) unsigned NOT NULL,
  `user_id` bigint(20) unsigned NOT NULL,
  `channel` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `amount` bigint(20) NOT NULL,
  `currency` char(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(9) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'pending',
  `live` tinyint(4) DEFAULT NULL,
  `refund_reserved` bigint(20) NOT NULL DEFAULT 0,
  `refunded_amount` bigint(20) NOT NULL DEFAULT 0,
  `pay_url` varchar(4000) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `version` int(10) unsigned NOT NULL DEFAULT 1,
  `expires_at` datetime(3) NOT NULL,
  `captured_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `payments_one_live` (`order_id`,`live`),
  KEY `payments_captured` (`channel`,`captured_at`,`id`),
  CONSTRAINT `payments_status_known` CHECK (`status` in ('pending','succeeded','failed','closed','refunded')),
  CONSTRAINT `payments_live_one` CHECK (`live` is null or `live` = 1),
  CONSTRAINT `payments_pending_live` CHECK (`status` <> 'pending' or `live` = 1),
  CONSTRAINT `payments_amount_positive` CHECK (`amount` > 0),
  CONSTRAINT `payments_captured_when` CHECK (`captured_at` is not null or `status` in ('pending','failed','closed')),
  CONSTRAINT `payments_not_captured_when` CHECK (`captured_at` is null or `status` in ('succeeded','closed','refunded')),
  CONSTRAINT `payments_refund_reserved` CHECK (`refund_reserved` between 0 and case when `captured_at` is null then 0 else `amount` end),
  CONSTRAINT `payments_refund_booked` CHECK (`refunded_amount` between 0 and `refund_reserved`),
  CONSTRAINT `payments_refunded_full` CHECK (`status` = 'refunded' = (`refunded_amount` = `amount`))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `payment_orders` (
  `order_id` bigint(20) unsigned NOT NULL,
  `closing_at` datetime(3) DEFAULT NULL,
  `closed_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`order_id`),
  CONSTRAINT `payment_orders_closing_first` CHECK (`closed_at` is null or `closing_at` is not null)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `reconciliation_differences` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `day` char(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `channel` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `subject` varchar(140) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payment_id` bigint(20) unsigned DEFAULT NULL,
  `provider_ref` varchar(128) DEFAULT NULL,
  `kind` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `ours` bigint(20) DEFAULT NULL,
  `theirs` bigint(20) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `reconciliation_differences_once` (`day`,`channel`,`subject`),
  CONSTRAINT `reconciliation_differences_kind_known` CHECK (`kind` in ('missing_here','missing_there','amount_differs'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `refunds` (
  `id` bigint(20) unsigned NOT NULL,
  `payment_id` bigint(20) unsigned NOT NULL,
  `refund_key` varchar(300) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `amount` bigint(20) NOT NULL,
  `reason` varchar(200) NOT NULL,
  `status` varchar(9) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'pending',
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `next_at` datetime(3) DEFAULT current_timestamp(3),
  `last_error` varchar(200) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `succeeded_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `refunds_once` (`payment_id`,`refund_key`),
  KEY `refunds_due` (`next_at`),
  CONSTRAINT `refunds_status_known` CHECK (`status` in ('pending','succeeded')),
  CONSTRAINT `refunds_amount_positive` CHECK (`amount` > 0),
  CONSTRAINT `refunds_due_while_pending` CHECK (`status` = 'pending' = (`next_at` is not null)),
  CONSTRAINT `refunds_succeeded_when` CHECK (`status` = 'succeeded' = (`succeeded_at` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sagas` (
  `id` bigint(20) unsigned NOT NULL,
  `type` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `log` text NOT NULL,
  `context` mediumtext NOT NULL,
  `version` int(10) unsigned NOT NULL DEFAULT 1,
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `last_error` varchar(500) DEFAULT NULL,
  `lease_owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `lease_until` datetime(3) DEFAULT NULL,
  `next_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`type`,`id`),
  KEY `sagas_ended` (`next_at`,`updated_at`),
  CONSTRAINT `sagas_status_known` CHECK (`status` in ('running','compensating','done','compensated')),
  CONSTRAINT `sagas_finished` CHECK (`status` in ('done','compensated') = (`next_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Schema seckill

CREATE TABLE `admissions` (
  `order_id` bigint(20) unsigned NOT NULL,
  `sale_id` bigint(20) unsigned NOT NULL,
  `user_id` bigint(20) unsigned NOT NULL,
  `live` tinyint(4) DEFAULT NULL,
  `state` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `seq` int(10) unsigned DEFAULT NULL,
  `end_seq` int(10) unsigned DEFAULT NULL,
  `epoch` int(10) unsigned NOT NULL,
  `request_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reason` varchar(32) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `ended_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`order_id`),
  UNIQUE KEY `admissions_one_per_user` (`sale_id`,`user_id`,`live`),
  UNIQUE KEY `admissions_by_number` (`sale_id`,`seq`),
  UNIQUE KEY `admissions_ends` (`sale_id`,`end_seq`),
  CONSTRAINT `admissions_state_known` CHECK (`state` in ('live','given_back','void')),
  CONSTRAINT `admissions_live` CHECK (`state` = 'live' = (`live` is not null)),
  CONSTRAINT `admissions_counted` CHECK (`state` = 'void' = (`seq` is null)),
  CONSTRAINT `admissions_ended` CHECK (`state` = 'live' = (`ended_at` is null)),
  CONSTRAINT `admissions_ends_counted` CHECK (`state` = 'given_back' = (`end_seq` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `dead_letters` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payload` mediumtext NOT NULL,
  `headers` text NOT NULL,
  `error` text NOT NULL,
  `tries` int(10) unsigned NOT NULL,
  `status` varchar(12) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `resolved_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `dead_letters_once` (`consumer`,`event_id`),
  KEY `dead_letters_status` (`status`,`id`),
  CONSTRAINT `dead_letters_status_known` CHECK (`status` in ('open','replayed','discarded'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `give_backs` (
  `order_id` bigint(20) unsigned NOT NULL,
  `sale_id` bigint(20) unsigned NOT NULL,
  `user_id` bigint(20) unsigned NOT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`order_id`),
  KEY `give_backs_created` (`created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idempotency_keys` (
  `user_id` bigint(20) unsigned NOT NULL,
  `route` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `idempotency_key` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `fingerprint` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `state` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `reference` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `answer` mediumtext DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `expires_at` datetime(3) NOT NULL,
  PRIMARY KEY (`user_id`,`route`,`idempotency_key`),
  KEY `idempotency_keys_expiry` (`expires_at`),
  CONSTRAINT `idempotency_keys_state_known` CHECK (`state` in ('running','done')),
  CONSTRAINT `idempotency_keys_answered` CHECK (`state` = 'done' = (`answer` is not null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `inbox` (
  `consumer` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `event_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `received_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`consumer`,`event_id`),
  KEY `inbox_received` (`received_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `leases` (
  `name` varchar(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `lease_until` datetime(3) NOT NULL,
  `fence` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `outbox` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `aggregate_id` bigint(20) unsigned NOT NULL,
  `aggregate_version` int(10) unsigned NOT NULL,
  `payload` mediumtext NOT NULL,
  `traceparent` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `trace_links` varchar(1024) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `request_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `claimed_until` datetime(3) DEFAULT NULL,
  `published_at` datetime(3) DEFAULT NULL,
  `publish_count` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `outbox_unpublished` (`published_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sagas` (
  `id` bigint(20) unsigned NOT NULL,
  `type` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `log` text NOT NULL,
  `context` mediumtext NOT NULL,
  `version` int(10) unsigned NOT NULL DEFAULT 1,
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `last_error` varchar(500) DEFAULT NULL,
  `lease_owner` varchar(150) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `lease_until` datetime(3) DEFAULT NULL,
  `next_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`type`,`id`),
  KEY `sagas_ended` (`next_at`,`updated_at`),
  CONSTRAINT `sagas_status_known` CHECK (`status` in ('running','compensating','done','compensated')),
  CONSTRAINT `sagas_finished` CHECK (`status` in ('done','compensated') = (`next_at` is null))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sales` (
  `id` bigint(20) unsigned NOT NULL,
  `sku_id` bigint(20) unsigned NOT NULL,
  `product_id` bigint(20) unsigned NOT NULL,
  `name` varchar(4000) NOT NULL,
  `title` varchar(200) NOT NULL,
  `price` bigint(20) NOT NULL,
  `currency` char(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `quantity` int(11) NOT NULL,
  `admitted` int(11) NOT NULL DEFAULT 0,
  `granted` int(11) NOT NULL DEFAULT 0,
  `returned` int(11) NOT NULL DEFAULT 0,
  `pass_required` tinyint(4) NOT NULL DEFAULT 0,
  `strategy` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'gate',
  `status` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'draft',
  `attempt` int(10) unsigned NOT NULL DEFAULT 0,
  `mode` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'db',
  `epoch` int(10) unsigned NOT NULL DEFAULT 0,
  `version` int(10) unsigned NOT NULL DEFAULT 0,
  `gate_run_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `gate_flips` int(10) unsigned NOT NULL DEFAULT 0,
  `gate_after` datetime(3) DEFAULT NULL,
  `mode_since` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `starts_at` datetime(3) NOT NULL,
  `ends_at` datetime(3) NOT NULL,
  `created_by` bigint(20) unsigned NOT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  KEY `sales_status` (`status`,`ends_at`),
  KEY `sales_starts` (`starts_at`,`id`),
  CONSTRAINT `sales_status_known` CHECK (`status` in ('draft','publishing','published','closing','closed')),
  CONSTRAINT `sales_mode_known` CHECK (`mode` in ('db','loading','redis')),
  CONSTRAINT `sales_strategy_known` CHECK (`strategy` in ('gate','database')),
  CONSTRAINT `sales_price_positive` CHECK (`price` >= 1),
  CONSTRAINT `sales_quantity_positive` CHECK (`quantity` >= 1),
  CONSTRAINT `sales_never_oversold` CHECK (`admitted` >= 0 and `admitted` + `returned` <= `quantity`),
  CONSTRAINT `sales_granted_bounded` CHECK (`granted` >= `admitted`),
  CONSTRAINT `sales_window` CHECK (`starts_at` < `ends_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `sale_audits` (
  `sale_id` bigint(20) unsigned NOT NULL,
  `round` int(10) unsigned NOT NULL DEFAULT 1,
  `seq` int(10) unsigned NOT NULL DEFAULT 0,
  `ends` int(10) unsigned NOT NULL DEFAULT 0,
  `log_hash` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`sale_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Schema operations

CREATE TABLE `rules` (
  `kind` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `target` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `user_id` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `is_on` tinyint(4) NOT NULL,
  `value` int(11) DEFAULT NULL,
  `reason` varchar(200) NOT NULL,
  `source` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `changed_by` bigint(20) unsigned DEFAULT NULL,
  `changed_at` datetime(3) NOT NULL,
  `expires_at` datetime(3) DEFAULT NULL,
  `seq` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`kind`,`target`,`user_id`),
  UNIQUE KEY `rules_seq` (`seq`),
  KEY `rules_expiry` (`expires_at`),
  CONSTRAINT `rules_source_known` CHECK (`source` in ('admin','trigger','expiry')),
  CONSTRAINT `rules_kind_known` CHECK (`kind` in ('degrade_browsing','stop_orders','pause_sale','disable_channel','blocked','invited','limit_sku','api_client'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `rule_changes` (
  `seq` bigint(20) unsigned NOT NULL,
  `kind` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `target` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `user_id` varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `is_on` tinyint(4) NOT NULL,
  `value` int(11) DEFAULT NULL,
  `reason` varchar(200) NOT NULL,
  `source` varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `changed_by` bigint(20) unsigned DEFAULT NULL,
  `changed_at` datetime(3) NOT NULL,
  PRIMARY KEY (`seq`),
  KEY `rule_changes_kind` (`kind`,`seq`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `rule_clock` (
  `id` tinyint(3) unsigned NOT NULL,
  `seq` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Schema provider

CREATE TABLE `charges` (
  `payment_id` bigint(20) unsigned NOT NULL,
  `amount` bigint(20) NOT NULL,
  `currency` char(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `status` varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `provider_ref` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `captured_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updated_at` datetime(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  PRIMARY KEY (`payment_id`),
  KEY `charges_captured` (`captured_at`,`payment_id`),
  KEY `charges_status` (`status`,`updated_at`),
  CONSTRAINT `charges_status_known` CHECK (`status` in ('open','captured','failed','closed')),
  CONSTRAINT `charges_captured_when` CHECK (`status` = 'captured' = (`captured_at` is not null)),
  CONSTRAINT `charges_amount_not_negative` CHECK (`amount` >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `charge_refunds` (
  `refund_id` bigint(20) unsigned NOT NULL,
  `payment_id` bigint(20) unsigned NOT NULL,
  `amount` bigint(20) NOT NULL,
  `provider_ref` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `is_capture_known` tinyint(4) NOT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`refund_id`),
  KEY `charge_refunds_payment` (`payment_id`),
  CONSTRAINT `charge_refunds_amount_positive` CHECK (`amount` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `deliveries` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `webhook_id` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `payment_id` bigint(20) unsigned NOT NULL,
  `body` text NOT NULL,
  `attempts` int(10) unsigned NOT NULL DEFAULT 0,
  `last_status` int(11) DEFAULT NULL,
  `next_at` datetime(3) DEFAULT current_timestamp(3),
  `delivered_at` datetime(3) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `deliveries_once` (`webhook_id`),
  KEY `deliveries_next` (`next_at`,`created_at`),
  CONSTRAINT `deliveries_ended` CHECK (`delivered_at` is null or `next_at` is null)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
