-- What OldUserStats and OldTrafficStats leave: the days of the last 60.
DELETE FROM user_stats USING seed WHERE date < (moment AT TIME ZONE 'UTC')::date - 60;
DELETE FROM traffic_stats USING seed WHERE date < (moment AT TIME ZONE 'UTC')::date - 60;
