-- What Logs leaves with a retention of 7 days: all that is no log, is young, has no time, or has something in the end depending on it that stays.
WITH RECURSIVE staying AS (
  SELECT id, depends_on FROM events, seed WHERE (topic LIKE 'log.%' AND created_at < moment - interval '7 days') IS NOT TRUE
  UNION SELECT parent.id, parent.depends_on FROM staying JOIN events AS parent ON parent.id = staying.depends_on)
DELETE FROM events WHERE NOT EXISTS (SELECT FROM staying WHERE staying.id = events.id);
