-- end: lets a run end early; see end_run.
-- KEYS: 1 prefix. ARGV: 1 run, 2 state (failed, cancelled), 3 why. Returns 1, or 0 when it is unknown, over or ending.
return end_run(ARGV[1], ARGV[2], ARGV[3])
