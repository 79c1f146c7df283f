-- Who may connect to a Redis instance, as its users have set it; '' for "never set". It is kept and shown.

ALTER TABLE cache ADD COLUMN whitelist TEXT NOT NULL DEFAULT '';
