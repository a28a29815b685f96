-- What InactiveWorkers leaves: workers seen within a day, and those that have a service. The first schema of the search path has
-- copies of all tables of `public`; so in all oracles.
DELETE FROM hosts USING seed WHERE last_seen < moment - interval '1 day' AND name NOT IN (SELECT hostname FROM services WHERE hostname IS NOT NULL);
