-- event: appends an event to the event log.
-- KEYS: 1 prefix. ARGV: topic, subject, target, schema, status, description, progress, counts as JSON, error.
-- Returns its id.
local id = emit(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9])
if type(id) == 'table' and id.err then return id end
return id
