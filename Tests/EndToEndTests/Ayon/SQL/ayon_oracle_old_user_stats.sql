-- What OldUserStats leaves: the days of the last 60.
DELETE FROM user_stats USING seed WHERE date < (moment AT TIME ZONE 'UTC')::date - 60;
