-- What WebActions leaves: launchers that were taken, are young, or have something that depends on them.
DELETE FROM events USING seed
WHERE topic = 'action.launcher' AND status = 'pending' AND created_at < moment - interval '5 minutes'
  AND id NOT IN (SELECT depends_on FROM events WHERE depends_on IS NOT NULL);
